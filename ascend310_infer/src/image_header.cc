#include "image_header.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#include "errors.h"

namespace infer {
namespace {

using Bytes = std::vector<uint8_t>;

// Reads numbers of an image file; what lies beyond its end is nothing.
class Reader {
 public:
  Reader(const Bytes &bytes, bool is_little_endian) : bytes_(bytes), is_little_endian_(is_little_endian) {}

  std::optional<uint64_t> Read(uint64_t place, size_t size) const {
    if (place > bytes_.size() || bytes_.size() - place < size) {
      return std::nullopt;
    }
    uint64_t value = 0;
    for (size_t index = 0; index < size; ++index) {
      value = value << 8 | bytes_[place + (is_little_endian_ ? size - 1 - index : index)];
    }
    return value;
  }

 private:
  const Bytes &bytes_;
  bool is_little_endian_;
};

bool Has(const Bytes &bytes, size_t place, const char *text) {
  const size_t size = std::strlen(text);
  return bytes.size() >= place + size && std::memcmp(bytes.data() + place, text, size) == 0;
}

std::optional<HeaderSize> Join(std::optional<uint64_t> width, std::optional<uint64_t> height) {
  if (!width || !height || *width == 0 || *height == 0) {
    return std::nullopt;
  }
  return HeaderSize{*width, *height};
}

std::optional<HeaderSize> SizeOfPng(const Bytes &bytes) {
  const Reader reader(bytes, false);
  return Has(bytes, 12, "IHDR") ? Join(reader.Read(16, 4), reader.Read(20, 4)) : std::nullopt;
}

std::optional<HeaderSize> SizeOfBmp(const Bytes &bytes) {
  const Reader reader(bytes, true);
  if (reader.Read(14, 4) == 12) {
    return Join(reader.Read(18, 2), reader.Read(20, 2));
  }
  // The height is negative where the rows come from top to bottom.
  const auto magnitude = [&](uint64_t place) -> std::optional<uint64_t> {
    const std::optional<uint64_t> value = reader.Read(place, 4);
    return value ? std::optional<uint64_t>(std::llabs(static_cast<int32_t>(*value))) : std::nullopt;
  };
  return Join(magnitude(18), magnitude(22));
}

std::optional<HeaderSize> SizeOfWebp(const Bytes &bytes) {
  const Reader reader(bytes, true);
  const auto part = [](std::optional<uint64_t> value, int shift, uint64_t mask, uint64_t more) {
    return value ? std::optional<uint64_t>((*value >> shift & mask) + more) : std::nullopt;
  };
  if (Has(bytes, 12, "VP8X")) {
    return Join(part(reader.Read(24, 3), 0, 0xffffff, 1), part(reader.Read(27, 3), 0, 0xffffff, 1));
  }
  if (Has(bytes, 12, "VP8L")) {
    const std::optional<uint64_t> packed = reader.Read(21, 4);
    return Join(part(packed, 0, 0x3fff, 1), part(packed, 14, 0x3fff, 1));
  }
  return Has(bytes, 12, "VP8 ") ? Join(part(reader.Read(26, 2), 0, 0x3fff, 0), part(reader.Read(28, 2), 0, 0x3fff, 0))
                                : std::nullopt;
}

// The bytes of a number of a TIFF type; 0 for what is no whole number.
size_t TiffTypeSize(uint64_t type) {
  switch (type) {
    case 1:
    case 6:
      return 1;
    case 3:
    case 8:
      return 2;
    case 4:
    case 9:
      return 4;
    case 16:
    case 17:
      return 8;
    default:
      return 0;
  }
}

// Whether a TIFF compression is none of those that the decoder of training has, though OpenCV's here may have it.
bool IsOnlyReadHere(uint64_t compression) {
  constexpr uint64_t kLzma = 34925, kZstandard = 50000, kWebp = 50001;
  return compression == kLzma || compression == kZstandard || compression == kWebp;
}

std::optional<HeaderSize> SizeOfTiff(const Bytes &bytes) {
  const Reader reader(bytes, bytes[0] == 'I');
  const bool is_big = reader.Read(2, 2) == 43;
  const size_t slot = is_big ? 8 : 4;  // bytes of an offset, and of a value in an entry
  const std::optional<uint64_t> start = reader.Read(is_big ? 8 : 4, slot);
  const size_t count_size = is_big ? 8 : 2;
  const std::optional<uint64_t> count = start ? reader.Read(*start, count_size) : std::nullopt;
  uint64_t width = 0;
  uint64_t height = 0;
  const size_t entry_size = 4 + 2 * slot;
  for (uint64_t index = 0; count && index < *count; ++index) {
    const uint64_t entry = *start + count_size + index * entry_size;
    const std::optional<uint64_t> tag = reader.Read(entry, 2);
    const std::optional<uint64_t> type = reader.Read(entry + 2, 2);
    if (!tag || !type) {
      break;
    }
    const size_t size = TiffTypeSize(*type);
    const uint64_t place = entry + 4 + slot;
    const std::optional<uint64_t> value = reader.Read(size > slot ? reader.Read(place, slot).value_or(~0ULL) : place, size);
    const bool is_width = *tag == 256 || *tag == 322;  // of the image, of a tile
    const bool is_height = *tag == 257 || *tag == 323;
    if (*tag == 259 && IsOnlyReadHere(value.value_or(0))) {
      throw ImageError("a TIFF file with the compression " + std::to_string(*value) + ", which training does not read");
    }
    if (is_width) {
      width = std::max(width, value.value_or(0));
    } else if (is_height) {
      height = std::max(height, value.value_or(0));
    }
  }
  return Join(width, height);
}

}  // namespace

std::optional<HeaderSize> ReadHeaderSize(const std::vector<uint8_t> &bytes) {
  if (Has(bytes, 0, "\x89PNG")) {
    return SizeOfPng(bytes);
  }
  if (Has(bytes, 0, "BM")) {
    return SizeOfBmp(bytes);
  }
  if (Has(bytes, 0, "II") || Has(bytes, 0, "MM")) {
    return SizeOfTiff(bytes);
  }
  return Has(bytes, 0, "RIFF") ? SizeOfWebp(bytes) : std::nullopt;
}

void CheckPixels(HeaderSize size, uint64_t max_pixels) {
  if (size.height != 0 && size.width > max_pixels / size.height) {
    throw ImageError("too large: " + std::to_string(size.width) + " x " + std::to_string(size.height) +
                     " pixels, and --max_image_pixels is " + std::to_string(max_pixels));
  }
}

}  // namespace infer
