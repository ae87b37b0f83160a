#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace infer {

// Returns the format version that a MINDIR file states, or nothing if it states none or is no MINDIR file.
std::optional<uint64_t> ReadMindirVersion(const std::filesystem::path &path);

// What to do about a model that a runtime refuses for this reason: a clause that begins with "; ", or an empty text
// where the file's version is no cause.
std::string AdviceOnRefusal(const std::filesystem::path &path, const std::string &reason);

}  // namespace infer
