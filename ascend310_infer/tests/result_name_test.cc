#include "result_name.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "errors.h"
#include "sha256.h"

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

TEST(ResultName, ThatIsTooLongIsCutAtALetterAndGetsADigest) {
  EXPECT_EQ(ResultNames({std::string(249, 'x') + ".jpg"}), Names{std::string(249, 'x') + "_0.bin"});
  const std::string longer = std::string(250, 'x') + ".jpg";
  EXPECT_EQ(ResultNames({longer}), Names{std::string(232, 'x') + '~' + Sha256(longer).substr(0, 16) + "_0.bin"});
  std::string letters = "aa/";  // then 76 letters of three bytes each end at byte 232
  for (int count = 0; count < 90; ++count) {
    letters += "狗";
  }
  const std::vector<std::string> names = ResultNames({letters + ".jpg", 'a' + letters + ".jpg"});
  EXPECT_EQ(names[0], "aa__" + letters.substr(3, 228) + '~' + Sha256(letters + ".jpg").substr(0, 16) + "_0.bin");
  EXPECT_EQ(names[1], "aaa__" + letters.substr(3, 225) + '~' + Sha256('a' + letters + ".jpg").substr(0, 16) + "_0.bin");
}

TEST(ResultName, ThatIsCutTellsImagesApart) {
  const std::string begin(300, 'x');
  const Names names = ResultNames({begin + "a.jpg", begin + "b.jpg", begin + "b.png"});
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), 3u);
}

}  // namespace
}  // namespace infer
