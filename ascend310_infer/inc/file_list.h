#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace infer {

// What the names of images end in; letters of any case are taken.
inline constexpr std::array<std::string_view, 8> kImageSuffixes = {".jpg", ".jpeg", ".jfif", ".png",
                                                                   ".bmp", ".tif",  ".tiff", ".webp"};

// A folder whose content is missing in the list.
struct UnreadFolder {
  std::string path;  // relative to the folder that was listed
  std::string reason;
};

struct FileList {
  std::vector<std::string> images;             // paths relative to the folder, with /, sorted
  std::map<std::string, size_t> passed_over;   // how many files have a suffix, in lower case, that is no image's
  std::vector<UnreadFolder> unread;
  size_t repeated = 0;  // folders that were not read again
};

// Lists the images below a folder. Symbolic links are followed; below each of the folders in it, though, a folder is read
// once, as tools/imgid2label.py does: links can make a loop, or double with each level. Hidden names are passed over, as in
// training. Throws std::filesystem::filesystem_error if the folder itself cannot be read.
FileList ListImages(const std::filesystem::path &folder);

}  // namespace infer
