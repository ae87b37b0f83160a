#pragma once

#include <cstdint>
#include <filesystem>
#include <opencv2/core.hpp>
#include <vector>

namespace infer {

// --max_image_pixels of default_config.yaml: images with more pixels, by their header, are not decoded. A few damaged or
// hostile bytes must not take all memory.
constexpr uint64_t kDefaultMaxPixels = 178956970;

// Decodes a JPEG, PNG, BMP, TIFF or WebP file to RGB, 8 bits a channel, with the pixels of the Python pipeline; the
// orientation in EXIF is ignored, as there. Throws ImageError, for more pixels than `max_pixels` too.
cv::Mat DecodeImage(const std::vector<uint8_t> &bytes, uint64_t max_pixels);

// Reads a whole file, which a FIFO or a device is not; throws ImageError.
std::vector<uint8_t> ReadImageFile(const std::filesystem::path &path);

}  // namespace infer
