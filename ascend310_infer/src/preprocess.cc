#include "preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <opencv2/imgproc.hpp>
#include <stdexcept>
#include <string>

#include "errors.h"
#include "image.h"

namespace infer {
namespace {

constexpr float kMean = 127.5f;
constexpr float kScale = 127.5f;
// What would be resized to more is refused: an image of one row has few pixels and would have a thousand million.
constexpr int64_t kMaxResizedPixels = int64_t{1} << 28;

// The nearest whole number, of two the even one, as Python rounds.
int ShorterSide(ImageSize size, double crop_pct) {
  const int longer = std::max(size.height, size.width);
  const double side = std::nearbyint(longer / crop_pct);
  if (!(side >= longer && side * side <= static_cast<double>(kMaxResizedPixels))) {
    throw std::invalid_argument("crop_pct " + std::to_string(crop_pct) + " makes no size for images of " +
                                std::to_string(longer) + " pixels");
  }
  return static_cast<int>(side);
}

int ToOpenCv(Interpolation interpolation) {
  return interpolation == Interpolation::kBicubic ? cv::INTER_CUBIC : cv::INTER_LINEAR;
}

cv::Mat ResizeShorterSide(const cv::Mat &image, int side, Interpolation interpolation) {
  const int longer = std::max(image.rows, image.cols);
  const int shorter = std::min(image.rows, image.cols);
  // In float, as MindSpore computes it: a wider type would round some sizes differently.
  const float ratio = static_cast<float>(longer) / static_cast<float>(shorter);
  const float resized_longer = std::floor(ratio * static_cast<float>(side));
  if (resized_longer * static_cast<float>(side) > static_cast<float>(kMaxResizedPixels)) {
    throw ImageError("too elongated: " + std::to_string(image.cols) + " x " + std::to_string(image.rows) + " pixels");
  }
  const int other = static_cast<int>(resized_longer);
  cv::Mat resized;
  const bool is_wide = image.cols > image.rows;
  const cv::Size shape = is_wide ? cv::Size(other, side) : cv::Size(side, other);
  cv::resize(image, resized, shape, 0, 0, ToOpenCv(interpolation));
  return resized;
}

}  // namespace

std::vector<float> Preprocess(const cv::Mat &image, ImageSize size, Resizing resizing) {
  const int side = ShorterSide(size, resizing.crop_pct);
  const cv::Mat resized = ResizeShorterSide(image, side, resizing.interpolation);
  const int top = (resized.rows - size.height) / 2;
  const int left = (resized.cols - size.width) / 2;
  const size_t plane = static_cast<size_t>(size.height) * size.width;
  std::vector<float> values(3 * plane);
  for (int row = 0; row < size.height; ++row) {
    const uint8_t *pixel = resized.ptr(top + row) + 3 * left;
    float *out = values.data() + static_cast<size_t>(row) * size.width;
    for (int column = 0; column < size.width; ++column, ++out, pixel += 3) {
      out[0] = (static_cast<float>(pixel[0]) - kMean) / kScale;
      out[plane] = (static_cast<float>(pixel[1]) - kMean) / kScale;
      out[2 * plane] = (static_cast<float>(pixel[2]) - kMean) / kScale;
    }
  }
  return values;
}

std::vector<float> LoadImage(const std::filesystem::path &path, ImageSize size, Resizing resizing,
                             uint64_t max_pixels) {
  return Preprocess(DecodeImage(ReadImageFile(path), max_pixels), size, resizing);
}

}  // namespace infer
