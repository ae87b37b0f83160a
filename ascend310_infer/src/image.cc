#include "image.h"

#include <cstring>
#include <exception>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <system_error>
#include <utility>

#include "errors.h"
#include "jpeg.h"
#include "read_file.h"

namespace infer {
namespace {

bool StartsWith(const std::vector<uint8_t> &bytes, const std::string &magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

bool IsReadByOpenCv(const std::vector<uint8_t> &bytes) {
  using namespace std::string_literals;
  for (const std::string &magic : {"\x89PNG\r\n\x1a\n"s, "BM"s, "II*\0"s, "MM\0*"s}) {
    if (StartsWith(bytes, magic)) {
      return true;
    }
  }
  return false;
}

cv::Mat DecodeWithOpenCv(const std::vector<uint8_t> &bytes) {
  cv::Mat image;
  try {
    image = cv::imdecode(bytes, cv::IMREAD_COLOR | cv::IMREAD_IGNORE_ORIENTATION);
  } catch (const std::exception &error) {
    throw ImageError(std::string("cannot be decoded: ") + error.what());
  }
  if (image.empty()) {
    throw ImageError("cannot be decoded: the file is damaged or of an unsupported kind");
  }
  // Blue and red change places.
  for (int row = 0; row < image.rows; ++row) {
    uint8_t *pixel = image.ptr(row);
    for (int column = 0; column < image.cols; ++column, pixel += 3) {
      std::swap(pixel[0], pixel[2]);
    }
  }
  return image;
}

}  // namespace

cv::Mat DecodeImage(const std::vector<uint8_t> &bytes) {
  if (bytes.empty()) {
    throw ImageError("the file is empty");
  }
  if (StartsWith(bytes, "\xff\xd8\xff")) {
    return DecodeJpeg(bytes);
  }
  if (!IsReadByOpenCv(bytes)) {
    throw ImageError("not a JPEG, PNG, BMP or TIFF file");
  }
  return DecodeWithOpenCv(bytes);
}

std::vector<uint8_t> ReadImageFile(const std::filesystem::path &path) {
  try {
    return ReadFile(path);
  } catch (const std::system_error &error) {
    throw ImageError(error.code().message());
  }
}

}  // namespace infer
