#pragma once

#include <cstdint>
#include <opencv2/core.hpp>
#include <vector>

namespace infer {

// Decodes a JPEG file to RGB, 8 bits a channel; throws ImageError, for a truncated file too.
cv::Mat DecodeJpeg(const std::vector<uint8_t> &bytes);

}  // namespace infer
