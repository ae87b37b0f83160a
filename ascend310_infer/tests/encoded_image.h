#pragma once

#include <cstdint>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <vector>

namespace infer {

// An image of OpenCV's channel order whose left half is red.
inline cv::Mat HalfRed(int rows, int columns) {
  cv::Mat image(rows, columns, CV_8UC3, cv::Scalar(0, 0, 0));
  image.colRange(0, columns / 2).setTo(cv::Scalar(0, 0, 255));
  return image;
}

// The content of an image file.
inline std::vector<uint8_t> Encode(const std::string &suffix, const cv::Mat &image,
                                   const std::vector<int> &parameters = {}) {
  std::vector<uint8_t> bytes;
  cv::imencode(suffix, image, bytes, parameters);
  return bytes;
}

}  // namespace infer
