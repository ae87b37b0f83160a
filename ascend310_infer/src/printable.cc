#include "printable.h"

#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace infer {
namespace {

struct Letter {
  uint32_t code;  // the byte itself where it begins no UTF-8
  size_t size;    // bytes; 0 there
};

Letter ReadLetter(std::string_view text) {
  const auto byte = [&](size_t place) { return static_cast<uint8_t>(text[place]); };
  const uint8_t first = byte(0);
  if (first < 0x80) {
    return {first, 1};
  }
  const size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) {
    return {first, 0};
  }
  uint32_t code = first & (0x7f >> size);
  for (size_t place = 1; place < size; ++place) {
    if ((byte(place) & 0xc0) != 0x80) {
      return {first, 0};
    }
    code = code << 6 | (byte(place) & 0x3f);
  }
  const uint32_t least = size == 4 ? 0x10000 : size == 3 ? 0x800 : 0x80;
  const bool is_surrogate = code >= 0xd800 && code < 0xe000;
  if (code < least || code > 0x10ffff || is_surrogate) {
    return {first, 0};
  }
  return {code, size};
}

bool IsControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x200e && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

std::string Escape(uint32_t code) {
  switch (code) {
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  char text[16];
  std::snprintf(text, sizeof(text), code < 0x100 ? "\\x%02x" : "\\u%04x", static_cast<unsigned>(code));
  return text;
}

}  // namespace

std::string Printable(std::string_view text) {
  std::string printable;
  while (!text.empty()) {
    const Letter letter = ReadLetter(text);
    const size_t size = letter.size == 0 ? 1 : letter.size;
    if (letter.size == 0 || IsControl(letter.code)) {
      printable += Escape(letter.code);
    } else {
      printable += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return printable;
}

}  // namespace infer
