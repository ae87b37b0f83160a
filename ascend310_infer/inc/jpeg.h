#pragma once

#include <cstdint>
#include <opencv2/core.hpp>
#include <vector>

namespace infer {

// Images with more pixels are refused: a few damaged or hostile bytes must not take all memory.
constexpr int64_t kMaxPixels = int64_t{1} << 28;

// Decodes a JPEG file to RGB, 8 bits a channel; throws ImageError, for a truncated file too.
cv::Mat DecodeJpeg(const std::vector<uint8_t> &bytes);

}  // namespace infer
