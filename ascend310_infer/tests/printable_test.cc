#include "printable.h"

#include <gtest/gtest.h>

#include <string>

namespace infer {
namespace {

TEST(Printable, KeepsLettersOfAllLanguages) {
  const std::string text = "a\\ 'b' Kühe 狗 🐕.jpg";
  EXPECT_EQ(Printable(text), text);
  EXPECT_EQ(Printable(""), "");
}

TEST(Printable, EscapesWhatATerminalActsOn) {
  EXPECT_EQ(Printable("a\nb\r\t\x1b[2J\x7f"), "a\\nb\\r\\t\\x1b[2J\\x7f");
  EXPECT_EQ(Printable(std::string("\0", 1)), "\\x00");
  EXPECT_EQ(Printable("\xc2\x9b" "2J \xe2\x80\xae gpj \xe2\x80\xa8 \xe2\x81\xa6"), "\\x9b" "2J \\u202e gpj \\u2028 \\u2066");
}

TEST(Printable, EscapesBytesThatAreNoUtf8) {
  EXPECT_EQ(Printable("\x9b" "2J K\xfche"), "\\x9b" "2J K\\xfche");
  EXPECT_EQ(Printable("\xe7\x8b"), "\\xe7\\x8b");                   // cut
  EXPECT_EQ(Printable("\xc0\x8a"), "\\xc0\\x8a");                   // a line's end in two bytes
  EXPECT_EQ(Printable("\xe0\x82\x9b"), "\\xe0\\x82\\x9b");         // U+009B in three
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");         // half of a pair
  EXPECT_EQ(Printable("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80");
}

}  // namespace
}  // namespace infer
