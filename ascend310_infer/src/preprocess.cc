#include "preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <opencv2/imgproc.hpp>
#include <string>

#include "errors.h"
#include "image.h"

namespace infer {
namespace {

constexpr float kMean = 127.5f;
constexpr float kScale = 127.5f;

// The nearest whole number to 320/299 of the side; a tie cannot occur.
int ShorterSide(ImageSize size) { return (std::max(size.height, size.width) * 640 + 299) / 598; }

cv::Mat ResizeShorterSide(const cv::Mat &image, int side) {
  const int longer = std::max(image.rows, image.cols);
  const int shorter = std::min(image.rows, image.cols);
  // In float, as MindSpore computes it: a wider type would round some sizes differently.
  const float ratio = static_cast<float>(longer) / static_cast<float>(shorter);
  const float resized_longer = std::floor(ratio * static_cast<float>(side));
  if (resized_longer * static_cast<float>(side) > static_cast<float>(kMaxPixels)) {
    throw ImageError("too elongated: " + std::to_string(image.cols) + " x " + std::to_string(image.rows) + " pixels");
  }
  const int other = static_cast<int>(resized_longer);
  cv::Mat resized;
  const bool is_wide = image.cols > image.rows;
  cv::resize(image, resized, is_wide ? cv::Size(other, side) : cv::Size(side, other), 0, 0, cv::INTER_LINEAR);
  return resized;
}

}  // namespace

std::vector<float> Preprocess(const cv::Mat &image, ImageSize size) {
  const cv::Mat resized = ResizeShorterSide(image, ShorterSide(size));
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

std::vector<float> LoadImage(const std::filesystem::path &path, ImageSize size) {
  return Preprocess(DecodeImage(ReadImageFile(path)), size);
}

}  // namespace infer
