#include "mindir_version.h"

#include <charconv>
#include <fstream>

namespace infer {
namespace {

// Of the message ModelProto in MindSpore's mind_ir.proto.
constexpr uint64_t kVersionField = 13;

// Wire types of protobuf's encoding.
constexpr uint64_t kVarint = 0;
constexpr uint64_t kLengthDelimited = 2;
constexpr uint64_t kLargestLength = uint64_t{1} << 31;  // protobuf's own limit

std::optional<uint64_t> ReadVarint(std::istream *file) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const int byte = file->get();
    if (byte == std::istream::traits_type::eof()) {
      return std::nullopt;
    }
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace

// Walks over the fields of the outermost message; linking protobuf would clash with the one inside the runtime.
std::optional<uint64_t> ReadMindirVersion(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  while (const std::optional<uint64_t> key = ReadVarint(&file)) {
    const uint64_t wire_type = *key & 7;
    const std::optional<uint64_t> value = ReadVarint(&file);
    if (!value || (wire_type != kVarint && wire_type != kLengthDelimited)) {
      return std::nullopt;
    }
    if (wire_type == kLengthDelimited) {
      if (*value > kLargestLength) {
        return std::nullopt;
      }
      file.seekg(static_cast<std::streamoff>(*value), std::ios::cur);
    } else if (*key >> 3 == kVersionField) {
      return value;
    }
  }
  return std::nullopt;
}

std::string AdviceOnRefusal(const std::filesystem::path &path, const std::string &reason) {
  const std::optional<uint64_t> version = ReadMindirVersion(path);
  if (!version) {
    return "; it is not a MINDIR file, or it is damaged";
  }
  // A runtime tells which version it reads, but only to whom it refuses a newer one.
  const std::string words = "maximum mind ir version: ";
  const size_t place = reason.find(words);
  uint64_t newest = 0;
  if (place != std::string::npos) {
    std::from_chars(reason.data() + place + words.size(), reason.data() + reason.size(), newest);
  }
  if (newest == 0 || *version <= newest) {
    return "";
  }
  return "; the file has version " + std::to_string(*version) + ": export it with --mindir_version " +
         std::to_string(newest);
}

}  // namespace infer
