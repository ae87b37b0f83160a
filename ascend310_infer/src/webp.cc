#include "webp.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

#include "errors.h"

namespace infer {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr size_t kChunkHeader = 8;  // name and size
constexpr size_t kFrameHeader = 16;
constexpr uint8_t kAnimated = 2;

bool Has(const Bytes &bytes, size_t place, const char *name) {
  return bytes.size() >= place + 4 && std::memcmp(bytes.data() + place, name, 4) == 0;
}

size_t EndOfChunk(const Bytes &bytes, size_t place) {
  size_t size = 0;
  for (size_t index = 0; index < 4; ++index) {
    size |= static_cast<size_t>(bytes[place + 4 + index]) << (8 * index);
  }
  return place + kChunkHeader + size;
}

// Finds a chunk of one of two names from a place on, up to `end`; returns its place.
std::optional<size_t> FindChunk(const Bytes &bytes, size_t place, size_t end, const char *name, const char *other) {
  while (place + kChunkHeader <= end) {
    const size_t next = EndOfChunk(bytes, place);
    if (next > end) {
      return std::nullopt;
    }
    if (Has(bytes, place, name) || Has(bytes, place, other)) {
      return place;
    }
    place = next + next % 2;
  }
  return std::nullopt;
}

}  // namespace

bool IsWebp(const Bytes &bytes) { return Has(bytes, 0, "RIFF") && Has(bytes, 8, "WEBP"); }

Bytes FirstPicture(const Bytes &bytes) {
  constexpr size_t kFlags = 20;
  constexpr size_t kCanvas = 24;  // where width and height of the animation are
  if (!Has(bytes, 12, "VP8X") || bytes.size() < kCanvas + 6 || !(bytes[kFlags] & kAnimated)) {
    return bytes;
  }
  const std::optional<size_t> frame = FindChunk(bytes, 12, bytes.size(), "ANMF", "ANMF");
  const size_t end = frame ? EndOfChunk(bytes, *frame) : 0;
  if (!frame || end - *frame < kChunkHeader + kFrameHeader) {
    throw ImageError("cannot be decoded: the animation has no picture");
  }
  const size_t header = *frame + kChunkHeader;
  const auto at = [&](size_t place) { return bytes.begin() + static_cast<std::ptrdiff_t>(place); };
  // Its place must be the corner, and its size the animation's.
  if (std::any_of(at(header), at(header + 6), [](uint8_t byte) { return byte != 0; }) ||
      !std::equal(at(kCanvas), at(kCanvas + 6), at(header + 6))) {
    throw ImageError("cannot be decoded: the animation's first picture is only a part");
  }
  const std::optional<size_t> picture = FindChunk(bytes, header + kFrameHeader, end, "VP8 ", "VP8L");
  if (!picture) {
    throw ImageError("cannot be decoded: the animation has no picture");
  }
  const size_t size = EndOfChunk(bytes, *picture) - *picture;
  const size_t padded = size + size % 2;
  Bytes file = {'R', 'I', 'F', 'F', 0, 0, 0, 0, 'W', 'E', 'B', 'P'};
  for (size_t index = 0; index < 4; ++index) {
    file[4 + index] = static_cast<uint8_t>((padded + 4) >> (8 * index));
  }
  file.insert(file.end(), at(*picture), at(*picture + size));
  file.resize(12 + padded);
  return file;
}

}  // namespace infer
