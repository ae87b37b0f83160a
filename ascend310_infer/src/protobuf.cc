#include "protobuf.h"

namespace infer {

std::optional<uint64_t> FieldWalk::ReadVarint(size_t *place) const {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && *place < message_.size(); shift += 7) {
    const auto byte = static_cast<uint8_t>(message_[(*place)++]);
    if (shift == 63 && byte > 1) {  // more than 64 bits
      return std::nullopt;
    }
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) {
      return value;
    }
  }
  return std::nullopt;
}

std::optional<Field> FieldWalk::Next() {
  size_t begin = place_;
  const std::optional<uint64_t> tag = ReadVarint(&begin);
  if (!tag) {
    return std::nullopt;
  }
  const auto type = static_cast<WireType>(*tag & 7);
  uint64_t value = 0;
  uint64_t size = 0;
  if (type == WireType::kVarint || type == WireType::kBytes) {
    size_t behind = begin;
    const std::optional<uint64_t> read = ReadVarint(&behind);
    if (!read) {
      return std::nullopt;
    }
    if (type == WireType::kVarint) {
      value = *read;
      size = behind - begin;
    } else {
      size = *read;
      begin = behind;
    }
  } else if (type == WireType::kFixed64 || type == WireType::kFixed32) {
    size = type == WireType::kFixed64 ? 8 : 4;
  } else {
    return std::nullopt;
  }
  if (size > message_.size() - begin) {
    return std::nullopt;
  }
  const size_t start = place_;
  place_ = begin + static_cast<size_t>(size);
  return Field{*tag >> 3, type, value, message_.substr(begin, place_ - begin), start, place_};
}

}  // namespace infer
