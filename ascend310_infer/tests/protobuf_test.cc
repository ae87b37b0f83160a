#include "protobuf.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model_bytes.h"

namespace infer {
namespace {

using namespace std::string_literals;

std::vector<Field> Fields(std::string_view message) {
  std::vector<Field> found;
  FieldWalk walk(message);
  while (const std::optional<Field> field = walk.Next()) {
    found.push_back(*field);
  }
  return found;
}

TEST(FieldWalkTest, GoesOverFieldsOfEveryType) {
  const std::string message = "\x08\x96\x01" "\x11" "12345678" "\x1a\x02hi" "\x25" "1234" "\x1a\x00"s;
  const std::vector<Field> found = Fields(message);
  ASSERT_EQ(found.size(), 5u);
  EXPECT_EQ(found[0].number, 1u);
  EXPECT_EQ(found[0].type, WireType::kVarint);
  EXPECT_EQ(found[0].value, 150u);
  EXPECT_EQ(found[1].content, "12345678");
  EXPECT_EQ(found[2].number, 3u);
  EXPECT_EQ(found[2].content, "hi");
  EXPECT_EQ(found[2].start, 12u);
  EXPECT_EQ(found[2].end, 16u);
  EXPECT_EQ(found[3].content, "1234");
  EXPECT_EQ(found[4].content, "");
  EXPECT_EQ(found[4].end, message.size());
}

TEST(FieldWalkTest, ReadsNumbersOf64Bits) {
  const std::vector<Field> found = Fields("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].value, ~uint64_t{0});
}

TEST(FieldWalkTest, EndsBeforeWhatIsNoProtobuf) {
  const std::string good = "\x08\x01"s;
  for (const std::string &wrong : {
           "\x80"s,                                                  // a tag without its end
           "\x08"s,                                                  // no value
           "\x08\xff"s,                                              // a value without its end
           "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s,          // of 65 bits
           "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s,      // of 11 bytes
           "\x12"s,                                                  // no length
           "\x12\x05" "four"s,                                       // a length past the end
           "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "four"s,   // one that would lead backwards
           "\x11" "1234567"s, "\x15" "123"s,                         // fixed sizes past the end
           "\x0b"s, "\x0c"s, "\x0e"s, "\x0f"s,                       // groups, and types that do not exist
       }) {
    const std::string message = good + wrong;
    FieldWalk walk(message);
    EXPECT_TRUE(walk.Next());
    EXPECT_FALSE(walk.Next()) << testing::PrintToString(wrong);
    EXPECT_FALSE(walk.is_whole());
    EXPECT_FALSE(walk.Next());
  }
}

TEST(FieldWalkTest, EndsAtTheEnd) {
  FieldWalk walk("\x08\x01");
  EXPECT_FALSE(walk.is_whole());
  EXPECT_TRUE(walk.Next());
  EXPECT_TRUE(walk.is_whole());
  EXPECT_FALSE(walk.Next());
  EXPECT_TRUE(walk.is_whole());
}

TEST(FieldWalkTest, TakesAnyBytes) {
  const std::string model = DescribedModel(R"({"format": 1})");
  for (size_t kept = 0; kept <= model.size(); ++kept) {
    Fields(model.substr(0, kept));
  }
  for (size_t place = 0; place < model.size(); ++place) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = model;
      changed[place] = static_cast<char>(changed[place] ^ 1 << bit);
      Fields(changed);
    }
  }
}

}  // namespace
}  // namespace infer
