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

TEST_F(ClassNamesTest, MustFitTheModel) {
  EXPECT_THROW(ReadClassNames(Write("names", "cat\n"), 2), UsageError);
  EXPECT_THROW(ReadClassNames(folder_ / "missing", 2), UsageError);
}

}  // namespace
}  // namespace infer
