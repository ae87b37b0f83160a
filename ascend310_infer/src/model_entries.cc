#include "model_entries.h"

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "protobuf.h"
#include "read_file.h"
#include "sha256.h"

namespace infer {
namespace {

constexpr uint64_t kEntriesField = 14;  // user_info of ModelProto in MindSpore's mind_ir.proto
constexpr uint64_t kKeyField = 1;
constexpr uint64_t kValueField = 2;

struct Entries {
  std::optional<std::string_view> metadata;
  std::optional<std::string_view> digest;
  size_t digest_start = 0;  // in the file
  size_t digest_end = 0;
};

// Of entries with the same key, the last counts; what is no protobuf has none, as its loader will say.
Entries FindEntries(std::string_view content) {
  Entries found;
  FieldWalk fields(content);
  while (const std::optional<Field> field = fields.Next()) {
    if (field->number != kEntriesField) {
      continue;
    }
    std::string_view key, value;
    FieldWalk pair(field->content);
    while (const std::optional<Field> part = pair.Next()) {
      if (part->number == kKeyField) {
        key = part->content;
      } else if (part->number == kValueField) {
        value = part->content;
      }
    }
    if (key == "xception.metadata") {
      found.metadata = value;
    } else if (key == "xception.sha256") {
      found.digest = value;
      found.digest_start = field->start;
      found.digest_end = field->end;
    }
  }
  return fields.is_whole() ? found : Entries();
}

}  // namespace

Metadata ReadModelMetadata(const std::filesystem::path &path) {
  const std::vector<uint8_t> bytes = ReadFile(path);
  const std::string_view content(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  const Entries found = FindEntries(content);
  if (found.digest && (found.digest_end != content.size() ||
                       Sha256(content.substr(0, found.digest_start)) != *found.digest)) {
    throw std::runtime_error(path.string() +
                             " is damaged, or was changed by another program: its content does not fit its digest; "
                             "copy or export it again");
  }
  return found.metadata ? ParseMetadata(std::string(*found.metadata), path.string()) : Metadata();
}

}  // namespace infer
