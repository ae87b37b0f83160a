#pragma once

#include <cstdint>
#include <filesystem>
#include <opencv2/core.hpp>
#include <vector>

namespace infer {

// Decodes a JPEG, PNG, BMP or TIFF file to RGB, 8 bits a channel, with the pixels of mindspore.dataset.vision.Decode;
// the orientation in EXIF is ignored, as there. Throws ImageError.
cv::Mat DecodeImage(const std::vector<uint8_t> &bytes);

// Reads a whole file; throws ImageError.
std::vector<uint8_t> ReadImageFile(const std::filesystem::path &path);

}  // namespace infer
