#include "file_list.h"

#include <filesystem>
#include <string>
#include <vector>

#include "temporary_folder.h"

namespace fs = std::filesystem;

namespace infer {
namespace {

using FileListTest = InFolder;
using Names = std::vector<std::string>;

TEST_F(FileListTest, FindsImagesOfAllFoldersInSortedOrder) {
  for (const char *name : {"b/2.jpg", "b/10.JPEG", "a/deep/er/x.Png", "top.bmp", "a/y.TIF", "a b/z.tiff"}) {
    Write(name);
  }
  EXPECT_EQ(ListImages(folder_).images,
            (Names{"a b/z.tiff", "a/deep/er/x.Png", "a/y.TIF", "b/10.JPEG", "b/2.jpg", "top.bmp"}));
}

TEST_F(FileListTest, PassesOverHiddenNamesAndCountsOtherFiles) {
  for (const char *name : {"a.jpg", ".hidden.jpg", ".folder/b.jpg", "labels.txt", "jpg", "c.jpg.part"}) {
    Write(name);
  }
  const FileList found = ListImages(folder_);
  EXPECT_EQ(found.images, (Names{"a.jpg"}));
  EXPECT_EQ(found.passed_over, 3u);
}

TEST_F(FileListTest, FollowsLinksButNoLoop) {
  Write("data/a/1.jpg");
  const fs::path outside = Write("outside/2.jpg");
  fs::create_directory_symlink(outside.parent_path(), folder_ / "data" / "linked");
  fs::create_symlink(outside, folder_ / "data" / "3.jpg");
  fs::create_directory_symlink(folder_ / "data", folder_ / "data" / "a" / "loop");
  EXPECT_EQ(ListImages(folder_ / "data").images, (Names{"3.jpg", "a/1.jpg", "linked/2.jpg"}));
}

TEST_F(FileListTest, ListsABrokenLinkSoThatItIsReportedLater) {
  fs::create_symlink(folder_ / "nowhere", folder_ / "a.jpg");
  EXPECT_EQ(ListImages(folder_).images, (Names{"a.jpg"}));
}

TEST_F(FileListTest, ThrowsForAMissingFolder) {
  EXPECT_THROW(ListImages(folder_ / "missing"), fs::filesystem_error);
}

}  // namespace
}  // namespace infer
