#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace infer {

struct FileList {
  std::vector<std::string> images;  // paths relative to the folder, with /, sorted
  size_t passed_over = 0;           // files without the suffix of an image
};

// Lists the images below a folder. Symbolic links are followed, except to a folder that the link lies in; hidden names
// are passed over, as in training. Throws std::filesystem::filesystem_error for a folder that cannot be read.
FileList ListImages(const std::filesystem::path &folder);

// Whether a name ends in .jpg, .jpeg, .png, .bmp, .tif or .tiff, in upper or lower case.
bool HasImageSuffix(const std::string &name);

}  // namespace infer
