#include "mindir_version.h"

#include <optional>
#include <string>

#include "temporary_folder.h"

namespace infer {
namespace {

using namespace std::string_literals;
using MindirVersionTest = InFolder;

// Two fields as they stand before the version: a string, and a message of 300 bytes.
const std::string kBefore = "\x12\x09MindSpore\x3a\xac\x02"s + std::string(300, '\xff');

TEST_F(MindirVersionTest, IsReadBehindOtherFields) {
  EXPECT_EQ(ReadMindirVersion(Write("1", kBefore + "\x68\x01")), 1u);
  EXPECT_EQ(ReadMindirVersion(Write("3", kBefore + "\x68\x03")), 3u);
}

TEST_F(MindirVersionTest, IsNothingInOtherFiles) {
  EXPECT_EQ(ReadMindirVersion(Write("empty")), std::nullopt);
  EXPECT_EQ(ReadMindirVersion(Write("text", "no model at all")), std::nullopt);
  EXPECT_EQ(ReadMindirVersion(Write("truncated", kBefore.substr(0, 100))), std::nullopt);
  EXPECT_EQ(ReadMindirVersion(Write("backwards", "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s)), std::nullopt);
  EXPECT_EQ(ReadMindirVersion(folder_ / "missing"), std::nullopt);
}

}  // namespace
}  // namespace infer
