#pragma once

#include <cstddef>
#include <cstdint>
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

enum class Interpolation { kBilinear, kBicubic };

// How images are resized before their centre is cropped: crop_pct and interpolation of default_config.yaml.
struct Resizing {
  double crop_pct = 0.934375;  // side of the crop as a share of the resized shorter side, above 0 to 1
  Interpolation interpolation = Interpolation::kBilinear;
};

// The evaluation pipeline of src/data/preset.py after decoding: resizes the shorter side to the network's longer one by
// crop_pct, crops the centre, and normalises 0..255 to -1..1. Throws ImageError for an image too elongated to be resized,
// and std::invalid_argument for a crop_pct beyond 1, or so small that no image could be.
//   image: RGB, 8 bits a channel.
// Returns the planes red, green, blue.
std::vector<float> Preprocess(const cv::Mat &image, ImageSize size, Resizing resizing);

// Reads, decodes and preprocesses a file of no more than `max_pixels`; throws as Preprocess does, and ImageError.
std::vector<float> LoadImage(const std::filesystem::path &path, ImageSize size, Resizing resizing, uint64_t max_pixels);

}  // namespace infer
