#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace infer {

// What the names of images end in; upper case is taken too.
inline constexpr std::array<std::string_view, 6> kImageSuffixes = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"};

struct FileList {
  std::vector<std::string> images;  // paths relative to the folder, with /, sorted
  size_t passed_over = 0;           // files without the suffix of an image
};

// Lists the images below a folder. Symbolic links are followed, except to a folder that the link lies in; hidden names
// are passed over, as in training. Throws std::filesystem::filesystem_error for a folder that cannot be read.
FileList ListImages(const std::filesystem::path &folder);

}  // namespace infer
