#include "class_names.h"

#include <string>
#include <vector>

#include "errors.h"
#include "temporary_folder.h"

namespace infer {
namespace {

using ClassNamesTest = InFolder;

TEST_F(ClassNamesTest, AreTheLinesOfTheFile) {
  const std::vector<std::string> names = {"cat", "great white shark"};
  EXPECT_EQ(ReadClassNames(Write("unix", "cat\ngreat white shark\n"), 2), names);
  EXPECT_EQ(ReadClassNames(Write("dos", "cat\r\ngreat white shark"), 2), names);
}

TEST_F(ClassNamesTest, BeginAfterAByteOrderMarkAndEndBeforeBlankLines) {
  const std::vector<std::string> names = {"cat", "", "shark"};
  EXPECT_EQ(ReadClassNames(Write("mark", "\xEF\xBB\xBF" "cat\n\nshark\n"), 3), names);
  EXPECT_EQ(ReadClassNames(Write("blank", "cat\n\nshark\n\n\r\n\n"), 3), names);
  EXPECT_EQ(ReadClassNames(Write("mac", "cat\r\rshark\r"), 3), names);
}

TEST_F(ClassNamesTest, AreUtf8) {
  for (const std::string whole : {"\x7F", "\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEF\xBF\xBF",
                                  "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_EQ(ReadClassNames(Write("whole", whole), 1), std::vector<std::string>{whole});
  }
  for (const std::string wrong : {"\x80", "\xC1\xBF", "\xC3", "\xC3z", "\xE0\x9F\xBF", "\xED\xA0\x80",
                                  "\xE7\x8C", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
                                  "\xFF\xFE"}) {
    EXPECT_THROW(ReadClassNames(Write("wrong", wrong), 1), UsageError) << testing::PrintToString(wrong);
  }
}

TEST_F(ClassNamesTest, MustFitTheModel) {
  EXPECT_THROW(ReadClassNames(Write("names", "cat\n"), 2), UsageError);
  EXPECT_THROW(ReadClassNames(folder_ / "missing", 2), UsageError);
}

}  // namespace
}  // namespace infer
