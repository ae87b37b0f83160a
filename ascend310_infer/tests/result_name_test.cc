#include "result_name.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "errors.h"

namespace infer {
namespace {

using Names = std::vector<std::string>;

TEST(ResultName, KeepsFoldersAndDots) {
  EXPECT_EQ(ResultNames({"ILSVRC2012_val_00000001.JPEG", "cats/1.jpg", "dogs/1.jpg", "a.b.jpg", "deep/er/c.png"}),
            (Names{"ILSVRC2012_val_00000001_0.bin", "cats__1_0.bin", "dogs__1_0.bin", "a.b_0.bin",
                   "deep__er__c_0.bin"}));
}

TEST(ResultName, KeepsTheSuffixesThatTellImagesApart) {
  EXPECT_EQ(ResultNames({"a.jpg", "a.png", "b.jpg"}), (Names{"a.jpg_0.bin", "a.png_0.bin", "b_0.bin"}));
}

TEST(ResultName, ThatTwoImagesShareIsAUsageError) { EXPECT_THROW(ResultNames({"a/b.jpg", "a__b.jpg"}), UsageError); }

TEST(ResultName, ThatIsTooLongIsAUsageError) {
  EXPECT_NO_THROW(ResultNames({std::string(249, 'x') + ".jpg"}));
  EXPECT_THROW(ResultNames({std::string(250, 'x') + ".jpg"}), UsageError);
}

}  // namespace
}  // namespace infer
