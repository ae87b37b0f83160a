#pragma once

#include <cstdint>
#include <filesystem>
#include <opencv2/core.hpp>
#include <vector>

namespace infer {

// JPEG files with more pixels are refused, and so is what would be resized to more: a few damaged or hostile bytes must
// not take all memory. OpenCV has a limit of its own for what it decodes.
constexpr int64_t kMaxPixels = int64_t{1} << 28;

// Decodes a JPEG, PNG, BMP or TIFF file to RGB, 8 bits a channel, with the pixels of mindspore.dataset.vision.Decode;
// the orientation in EXIF is ignored, as there. Throws ImageError.
cv::Mat DecodeImage(const std::vector<uint8_t> &bytes);

// Reads a whole file; throws ImageError.
std::vector<uint8_t> ReadImageFile(const std::filesystem::path &path);

}  // namespace infer
