#pragma once

#include <string>
#include <vector>

namespace infer {

// Returns the names of the result files, in the order of the images: the relative path with / as __, without its
// suffix, and _0.bin. Images that differ in nothing but the suffix keep it: a.jpg_0.bin and a.png_0.bin. A name that is too
// long for a file is cut at a letter, and ends in ~, 16 digits of the SHA-256 of the image's path, and _0.bin.
// result_names of src/evaluation/result_files.py gives the same. Throws UsageError if two images would still share a name.
std::vector<std::string> ResultNames(const std::vector<std::string> &images);

}  // namespace infer
