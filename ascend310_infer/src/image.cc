#include "image.h"

#include <cstring>
#include <exception>
#include <limits>
#include <opencv2/imgcodecs.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "errors.h"
#include "image_header.h"
#include "jpeg.h"
#include "read_file.h"
#include "webp.h"

namespace infer {
namespace {

constexpr size_t kMagicSize = 12;  // bytes that tell what kind of file it is

bool StartsWith(const std::vector<uint8_t> &bytes, const std::string &magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

bool IsJpeg(const std::vector<uint8_t> &bytes) { return StartsWith(bytes, "\xff\xd8\xff"); }

bool IsReadByOpenCv(const std::vector<uint8_t> &bytes) {
  using namespace std::string_literals;
  // Of TIFF, the kind with offsets of 64 bits has a + where the older one has a *.
  for (const std::string &magic :
       {"\x89PNG\r\n\x1a\n"s, "BM"s, "II*\0"s, "MM\0*"s, "II+\0"s, "MM\0+"s}) {
    if (StartsWith(bytes, magic)) {
      return true;
    }
  }
  return IsWebp(bytes);
}

// Throws ImageError unless the file begins as one of the kinds that are decoded.
void CheckKind(const std::vector<uint8_t> &bytes) {
  if (bytes.empty()) {
    throw ImageError("the file is empty");
  }
  if (!IsJpeg(bytes) && !IsReadByOpenCv(bytes)) {
    throw ImageError("not a JPEG, PNG, BMP, TIFF or WebP file");
  }
}

cv::Mat DecodeWithOpenCv(const std::vector<uint8_t> &bytes, uint64_t max_pixels) {
  const std::optional<HeaderSize> size = ReadHeaderSize(bytes);
  if (!size) {
    throw ImageError("cannot be decoded: its header is damaged");
  }
  CheckPixels(*size, max_pixels);
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

cv::Mat DecodeImage(const std::vector<uint8_t> &bytes, uint64_t max_pixels) {
  CheckKind(bytes);
  if (IsJpeg(bytes)) {
    return DecodeJpeg(bytes, max_pixels);
  }
  return IsWebp(bytes) ? DecodeWithOpenCv(FirstPicture(bytes), max_pixels) : DecodeWithOpenCv(bytes, max_pixels);
}

std::vector<uint8_t> ReadImageFile(const std::filesystem::path &path) {
  try {
    RegularFile file(path);
    // The decoders count bytes in an int.
    if (file.size() > std::numeric_limits<int>::max()) {
      throw ImageError("too large: " + std::to_string(file.size()) + " bytes");
    }
    std::vector<uint8_t> bytes;
    bytes.reserve(file.size());
    file.Read(kMagicSize, &bytes);
    CheckKind(bytes);  // before all of it is read: an empty hole of some gigabytes is no image
    file.Read(std::numeric_limits<int>::max() - kMagicSize, &bytes);
    return bytes;
  } catch (const NotRegularError &) {
    throw ImageError("not a regular file");
  } catch (const std::system_error &error) {
    throw ImageError(error.code().message());
  }
}

}  // namespace infer
