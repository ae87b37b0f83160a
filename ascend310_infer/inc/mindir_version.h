#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace infer {

// Returns the format version that a MINDIR file states, or nothing if it states none or is no MINDIR file.
std::optional<uint64_t> ReadMindirVersion(const std::filesystem::path &path);

}  // namespace infer
