#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace infer {

// Reads the names of the classes, a line each, as predict.py does: UTF-8, with or without a byte-order mark and blank
// lines at the end. Throws UsageError if the file cannot be read or there is not one name for every class.
std::vector<std::string> ReadClassNames(const std::filesystem::path &path, size_t classes);

}  // namespace infer
