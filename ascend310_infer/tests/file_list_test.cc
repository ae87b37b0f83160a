#include "file_list.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "temporary_folder.h"

namespace fs = std::filesystem;

namespace infer {
namespace {

using FileListTest = InFolder;
using Names = std::vector<std::string>;

TEST_F(FileListTest, FindsImagesOfAllFoldersInSortedOrder) {
  for (const char *name : {"b/2.jpg", "b/10.JPEG", "a/deep/er/x.Png", "top.bmp", "a/y.TIF", "a b/z.tiff", "c/1.jPG", "c/2.WebP", "c/3.jfif"}) {
    Write(name);
  }
  EXPECT_EQ(ListImages(folder_).images,
            (Names{"a b/z.tiff", "a/deep/er/x.Png", "a/y.TIF", "b/10.JPEG", "b/2.jpg", "c/1.jPG", "c/2.WebP",
                   "c/3.jfif", "top.bmp"}));
}

TEST_F(FileListTest, PassesOverHiddenNamesAndCountsOtherFiles) {
  for (const char *name : {"a.jpg", ".hidden.jpg", ".folder/b.jpg", "labels.txt", "jpg", "c.jpg.part", "d.PART"}) {
    Write(name);
  }
  const FileList found = ListImages(folder_);
  EXPECT_EQ(found.images, (Names{"a.jpg"}));
  EXPECT_EQ(found.passed_over, (std::map<std::string, size_t>{{".txt", 1}, {"", 1}, {".part", 2}}));
}

TEST_F(FileListTest, FollowsLinksButNoLoop) {
  Write("data/a/1.jpg");
  const fs::path outside = Write("outside/2.jpg");
  fs::create_directory_symlink(outside.parent_path(), folder_ / "data" / "linked");
  fs::create_symlink(outside, folder_ / "data" / "3.jpg");
  fs::create_directory_symlink(folder_ / "data", folder_ / "data" / "a" / "loop");
  const FileList found = ListImages(folder_ / "data");
  EXPECT_EQ(found.images, (Names{"3.jpg", "a/1.jpg", "linked/2.jpg"}));
  EXPECT_EQ(found.repeated, 1u);
}

TEST_F(FileListTest, ReadsAFolderOnceBelowEachClass) {
  Write("outside/1.jpg");
  for (const char *name : {"data/a", "data/b"}) {
    fs::create_directories(folder_ / name);
    fs::create_directory_symlink(folder_ / "outside", folder_ / name / "one");
    fs::create_directory_symlink(folder_ / "outside", folder_ / name / "two");
  }
  fs::create_directory_symlink(folder_ / "outside", folder_ / "data" / "c");
  const FileList found = ListImages(folder_ / "data");
  EXPECT_EQ(found.images, (Names{"a/one/1.jpg", "b/one/1.jpg", "c/1.jpg"}));
  EXPECT_EQ(found.repeated, 2u);
}

TEST_F(FileListTest, EndsWhereLinksDoubleWithEveryLevel) {
  constexpr int kLevels = 24;  // 2 ** 24 paths lead to the last one
  for (int level = 0; level < kLevels; ++level) {
    const fs::path folder = folder_ / "levels" / std::to_string(level);
    fs::create_directories(folder);
    for (const char *name : {"one", "two"}) {
      fs::create_directory_symlink(folder_ / "levels" / std::to_string(level + 1), folder / name);
    }
  }
  Write("levels/" + std::to_string(kLevels) + "/1.jpg");
  fs::create_directory_symlink(folder_ / "levels" / "0", folder_ / "class");
  fs::create_directory(folder_ / "data");
  fs::rename(folder_ / "class", folder_ / "data" / "class");
  const FileList found = ListImages(folder_ / "data");
  ASSERT_EQ(found.images.size(), 1u);
  EXPECT_EQ(std::count(found.images[0].begin(), found.images[0].end(), '/'), kLevels + 1);
  EXPECT_EQ(found.repeated, static_cast<size_t>(kLevels));
}

TEST_F(FileListTest, NamesAFolderThatCannotBeReadAndGoesOn) {
  Write("a/1.jpg");
  Write("z/2.jpg");
  // The path of the last folder is longer than a path can be, and only its parent can be opened.
  const int top = open((folder_ / "a").c_str(), O_RDONLY | O_DIRECTORY);
  int parent = top;
  const std::string name(250, 'n');
  for (int level = 0; level < 20; ++level) {
    ASSERT_EQ(mkdirat(parent, name.c_str(), 0700), 0);
    const int next = openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY);
    close(parent);
    parent = next;
  }
  close(parent);
  const FileList found = ListImages(folder_);
  EXPECT_EQ(found.images, (Names{"a/1.jpg", "z/2.jpg"}));
  ASSERT_EQ(found.unread.size(), 1u);
  EXPECT_EQ(found.unread[0].path.substr(0, 253), "a/" + name + '/');
  EXPECT_EQ(found.unread[0].reason, "File name too long");
  for (int level = 0; level < 20; ++level) {  // from the top, as no path leads to the bottom
    const fs::path first = folder_ / "a" / name;
    const fs::path second = first / name;
    if (fs::exists(second)) {
      fs::rename(second, folder_ / "deeper");
    }
    fs::remove(first);
    if (fs::exists(folder_ / "deeper")) {
      fs::rename(folder_ / "deeper", first);
    }
  }
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
