#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace infer {

// Reads a whole file; throws std::system_error with the path.
std::vector<uint8_t> ReadFile(const std::filesystem::path &path);

}  // namespace infer
