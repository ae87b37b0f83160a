#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace infer {

// What decoding an image takes memory for, in pixels.
struct HeaderSize {
  uint64_t width;
  uint64_t height;
};

// Reads the size of a PNG, BMP, TIFF, BigTIFF or WebP file from its header, without decoding anything; returns nothing if it
// is none of these or has no size. A TIFF file is as large as the largest of what it says: image or tile. Throws ImageError
// if it is compressed as training does not read it.
std::optional<HeaderSize> ReadHeaderSize(const std::vector<uint8_t> &bytes);

// Throws ImageError if an image has more pixels than are decoded.
void CheckPixels(HeaderSize size, uint64_t max_pixels);

}  // namespace infer
