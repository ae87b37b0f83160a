#include "mindir_version.h"

#include <charconv>
#include <system_error>
#include <vector>

#include "protobuf.h"
#include "read_file.h"

namespace infer {
namespace {

// Of the message ModelProto in MindSpore's mind_ir.proto.
constexpr uint64_t kVersionField = 13;

}  // namespace

std::optional<uint64_t> ReadMindirVersion(const std::filesystem::path &path) {
  std::vector<uint8_t> bytes;
  try {
    bytes = ReadFile(path);
  } catch (const std::system_error &) {
    return std::nullopt;
  }
  FieldWalk fields({reinterpret_cast<const char *>(bytes.data()), bytes.size()});
  while (const std::optional<Field> field = fields.Next()) {
    if (field->number == kVersionField && field->type == WireType::kVarint) {
      return field->value;
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
