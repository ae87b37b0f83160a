#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace infer {

// Reads the names of the classes, a line each. Throws UsageError if the file cannot be read or there is not one name
// for every class.
std::vector<std::string> ReadClassNames(const std::filesystem::path &path, size_t classes);

}  // namespace infer
