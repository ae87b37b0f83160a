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

TEST_F(MindirVersionTest, IsBlamedWhereTheRuntimeReadsOlderOnesAlone) {
  const auto model = [this](const std::string &version) { return Write(version, kBefore + "\x68" + version); };
  const std::string takes = "can only support the maximum mind ir version: ";
  EXPECT_EQ(AdviceOnRefusal(model("\x03"), takes + "1, install"),
            "; the file has version 3: export it with --mindir_version 1");
  EXPECT_EQ(AdviceOnRefusal(model("\x03"), takes + "2"), "; the file has version 3: export it with --mindir_version 2");
  EXPECT_EQ(AdviceOnRefusal(model("\x02"), takes + "2"), "");
  EXPECT_EQ(AdviceOnRefusal(model("\x03"), "no device"), "");
  EXPECT_NE(AdviceOnRefusal(Write("text", "no model"), "no device").find("not a MINDIR file"), std::string::npos);
}

}  // namespace
}  // namespace infer
