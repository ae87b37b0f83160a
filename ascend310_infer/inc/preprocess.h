#pragma once

#include <cstddef>
#include <filesystem>
#include <opencv2/core.hpp>
#include <vector>

namespace infer {

// Height and width of a network's images in pixels.
struct ImageSize {
  int height;
  int width;

  // Values of an image: red, green and blue planes.
  size_t elements() const { return static_cast<size_t>(3) * height * width; }
};

// The evaluation pipeline of src/data/preset.py after decoding: resizes the shorter side to 320/299 of the network's,
// crops the centre, and normalises 0..255 to -1..1. Throws ImageError for an image too elongated to be resized.
//   image: RGB, 8 bits a channel.
// Returns the planes red, green, blue.
std::vector<float> Preprocess(const cv::Mat &image, ImageSize size);

// Reads, decodes and preprocesses a file; throws ImageError.
std::vector<float> LoadImage(const std::filesystem::path &path, ImageSize size);

}  // namespace infer
