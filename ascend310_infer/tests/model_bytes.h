#pragma once

#include <cstdint>
#include <string>

#include "sha256.h"

namespace infer {

// The start of a MINDIR file: a string, a message of 300 bytes, and the format's version.
inline std::string ModelBytes(char version = 1) {
  return std::string("\x12\x09MindSpore\x3a\xac\x02", 14) + std::string(300, '\xff') + '\x68' + version;
}

inline std::string Varint(uint64_t number) {
  std::string encoded;
  for (; number > 0x7f; number >>= 7) {
    encoded += static_cast<char>((number & 0x7f) | 0x80);
  }
  return encoded + static_cast<char>(number);
}

// A field that holds bytes.
inline std::string BytesField(uint64_t number, const std::string &content) {
  return Varint(number << 3 | 2) + Varint(content.size()) + content;
}

inline std::string Entry(const std::string &key, const std::string &value) {
  return BytesField(14, BytesField(1, key) + BytesField(2, value));
}

inline std::string WithDigest(const std::string &content) {
  return content + Entry("xception.sha256", Sha256(content));
}

// A model with metadata, as export.py writes it.
inline std::string DescribedModel(const std::string &json) {
  return WithDigest(ModelBytes() + Entry("xception.metadata", json));
}

}  // namespace infer
