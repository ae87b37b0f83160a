#pragma once

#include <cstdint>
#include <opencv2/core.hpp>
#include <vector>

namespace infer {

// Decodes a JPEG file to RGB, 8 bits a channel; throws ImageError, for a truncated file and more than `max_pixels` too.
cv::Mat DecodeJpeg(const std::vector<uint8_t> &bytes, uint64_t max_pixels);

}  // namespace infer
