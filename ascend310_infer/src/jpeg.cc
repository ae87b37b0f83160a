#include "jpeg.h"

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <string>

#include <jpeglib.h>  // after <cstdio>, which it needs

#include <jerror.h>

#include "errors.h"
#include "image_header.h"

namespace infer {
namespace {

constexpr int kMaxValue = 255;

struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf return_point;
  char message[JMSG_LENGTH_MAX];
  bool is_at_end;  // the library has been told that the image ends where the data do
};

[[noreturn]] void LeaveDecoder(j_common_ptr info) {
  auto *errors = reinterpret_cast<ErrorManager *>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->return_point, 1);
}

void IgnoreMessage(j_common_ptr) {}

// Other warnings are passed over, as the Python pipeline does: files of ImageNet have some.
void FailIfPixelsAreMissing(j_common_ptr info, int) {
  if (info->err->msg_code == JWRN_HIT_MARKER && reinterpret_cast<ErrorManager *>(info->err)->is_at_end) {
    ERREXIT(info, JERR_INPUT_EOF);
  }
}

// The library would go on with grey where the data end. With a single scan, all pixels may still be there and only the
// end marker be missing; then the library is given that marker.
boolean HandleEnd(j_decompress_ptr info) {
  static const JOCTET kEndMarker[] = {0xff, JPEG_EOI};
  auto *errors = reinterpret_cast<ErrorManager *>(info->err);
  if (info->input_scan_number != 1 || jpeg_has_multiple_scans(info) || errors->is_at_end) {
    ERREXIT(info, JERR_INPUT_EOF);
  }
  errors->is_at_end = true;
  info->src->next_input_byte = kEndMarker;
  info->src->bytes_in_buffer = sizeof(kEndMarker);
  return TRUE;
}

// Wraps libjpeg. Its errors jump out of it, so no function that calls setjmp owns anything that needs a destructor.
class Decoder {
 public:
  Decoder() {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = LeaveDecoder;
    errors_.base.output_message = IgnoreMessage;
    errors_.base.emit_message = FailIfPixelsAreMissing;
  }
  ~Decoder() { jpeg_destroy_decompress(&info_); }
  Decoder(const Decoder &) = delete;
  Decoder &operator=(const Decoder &) = delete;

  bool ReadHeader(const uint8_t *data, size_t size) {
    if (setjmp(errors_.return_point)) {
      return false;
    }
    jpeg_create_decompress(&info_);
    jpeg_mem_src(&info_, data, size);
    info_.src->fill_input_buffer = HandleEnd;
    jpeg_read_header(&info_, TRUE);
    info_.out_color_space = info_.num_components == 4 ? JCS_CMYK : JCS_RGB;
    return true;
  }

  // Writes the rows one after the other, of 4 bytes a pixel for CMYK, else of 3.
  bool ReadPixels(uint8_t *pixels) {
    if (setjmp(errors_.return_point)) {
      return false;
    }
    jpeg_start_decompress(&info_);
    while (info_.output_scanline < info_.output_height) {
      JSAMPROW row = pixels + static_cast<size_t>(info_.output_scanline) * info_.output_width * info_.output_components;
      jpeg_read_scanlines(&info_, &row, 1);
    }
    return true;
  }

  const jpeg_decompress_struct &info() const { return info_; }
  std::string message() const { return errors_.message; }

 private:
  jpeg_decompress_struct info_{};
  ErrorManager errors_{};
};

// Adobe's programs write CMYK inverted.
cv::Mat CmykToRgb(const cv::Mat &cmyk, bool inverted) {
  cv::Mat rgb(cmyk.rows, cmyk.cols, CV_8UC3);
  for (int row = 0; row < cmyk.rows; ++row) {
    const uint8_t *in = cmyk.ptr(row);
    uint8_t *out = rgb.ptr(row);
    for (int column = 0; column < cmyk.cols; ++column, in += 4, out += 3) {
      const int light = inverted ? in[3] : kMaxValue - in[3];
      for (int channel = 0; channel < 3; ++channel) {
        const int colour = inverted ? in[channel] : kMaxValue - in[channel];
        out[channel] = static_cast<uint8_t>(colour * light / kMaxValue);
      }
    }
  }
  return rgb;
}

}  // namespace

cv::Mat DecodeJpeg(const std::vector<uint8_t> &bytes, uint64_t max_pixels) {
  Decoder decoder;
  if (!decoder.ReadHeader(bytes.data(), bytes.size())) {
    throw ImageError("cannot be decoded: " + decoder.message());
  }
  const jpeg_decompress_struct &info = decoder.info();
  CheckPixels({info.image_width, info.image_height}, max_pixels);
  const bool is_cmyk = info.out_color_space == JCS_CMYK;
  cv::Mat image(static_cast<int>(info.image_height), static_cast<int>(info.image_width), is_cmyk ? CV_8UC4 : CV_8UC3);
  if (!decoder.ReadPixels(image.ptr())) {
    throw ImageError("cannot be decoded: " + decoder.message());
  }
  return is_cmyk ? CmykToRgb(image, info.saw_Adobe_marker) : image;
}

}  // namespace infer
