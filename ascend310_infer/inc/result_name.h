#pragma once

#include <string>
#include <vector>

namespace infer {

// Returns the names of the result files, in the order of the images: the relative path with / as __, without its
// suffix, and _0.bin. Images that differ in nothing but the suffix keep it: a.jpg_0.bin and a.png_0.bin.
// Throws UsageError if two images would still share a name, or a name is too long for a file.
std::vector<std::string> ResultNames(const std::vector<std::string> &images);

}  // namespace infer
