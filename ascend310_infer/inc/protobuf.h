#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace infer {

// Wire types of protobuf's encoding.
enum class WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// A field of a message.
struct Field {
  uint64_t number;
  WireType type;
  uint64_t value;            // of a varint, else 0
  std::string_view content;  // the bytes behind tag and length
  size_t start;              // where the tag begins in the message
  size_t end;                // where the content ends in it
};

// Walks over the fields of a message, not into them. Linking protobuf would clash with the one inside the runtime.
class FieldWalk {
 public:
  explicit FieldWalk(std::string_view message) : message_(message) {}

  // Returns the next field, or nothing at the end and before what is no protobuf.
  std::optional<Field> Next();

  // Whether all of the message has been walked over, without anything in it that is no protobuf.
  bool is_whole() const { return place_ == message_.size(); }

 private:
  // Reads at a place of the message and moves it behind.
  std::optional<uint64_t> ReadVarint(size_t *place) const;

  std::string_view message_;
  size_t place_ = 0;  // of the next field
};

}  // namespace infer
