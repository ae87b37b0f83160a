#include "image_header.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "encoded_image.h"
#include "errors.h"

namespace infer {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes ToBytes(const std::string &text) { return {text.begin(), text.end()}; }

// Returns a number of some bytes as it stands in a file, the lowest byte first unless it is `big`.
std::string Number(uint64_t value, int size, bool big = false) {
  std::string text;
  for (int index = 0; index < size; ++index) {
    text += static_cast<char>(value >> (8 * (big ? size - 1 - index : index)));
  }
  return text;
}

// A TIFF file of one directory, each entry a tag, a type and a value.
Bytes Tiff(bool big_endian, const std::vector<std::array<uint64_t, 3>> &entries) {
  std::string text = big_endian ? "MM" : "II";
  text += Number(42, 2, big_endian) + Number(8, 4, big_endian) + Number(entries.size(), 2, big_endian);
  for (const auto &[tag, type, value] : entries) {
    const int size = type == 3 ? 2 : 4;
    text += Number(tag, 2, big_endian) + Number(type, 2, big_endian) + Number(1, 4, big_endian);
    text += Number(value, size, big_endian) + std::string(static_cast<size_t>(4 - size), 0);
  }
  return ToBytes(text);
}

// The same with offsets of 64 bits, and the values too.
Bytes BigTiff(uint64_t width, uint64_t height) {
  std::string text = "II" + Number(43, 2) + Number(8, 2) + Number(0, 2) + Number(16, 8) + Number(2, 8);
  text += Number(256, 2) + Number(16, 2) + Number(1, 8) + Number(width, 8);
  return ToBytes(text + Number(257, 2) + Number(4, 2) + Number(1, 8) + Number(height, 4) + Number(0, 4));
}

std::vector<uint64_t> SizeOf(const Bytes &bytes) {
  const std::optional<HeaderSize> size = ReadHeaderSize(bytes);
  return size ? std::vector<uint64_t>{size->width, size->height} : std::vector<uint64_t>{};
}

using Size = std::vector<uint64_t>;

TEST(ImageHeader, HasTheSizeOfEveryKind) {
  const cv::Mat image = HalfRed(50, 70);
  for (const char *suffix : {".png", ".bmp", ".tif", ".webp"}) {
    EXPECT_EQ(SizeOf(Encode(suffix, image)), (Size{70, 50})) << suffix;
  }
  EXPECT_EQ(SizeOf(Encode(".webp", image, {cv::IMWRITE_WEBP_QUALITY, 101})), (Size{70, 50}));
  const cv::Mat transparent(50, 70, CV_8UC4, cv::Scalar::all(7));
  EXPECT_EQ(SizeOf(Encode(".webp", transparent)), (Size{70, 50}));
}

TEST(ImageHeader, OfATiffFileIsReadInBothOrdersAndWidths) {
  for (const bool big_endian : {false, true}) {
    EXPECT_EQ(SizeOf(Tiff(big_endian, {{256, 3, 70}, {257, 4, 100000}})), (Size{70, 100000}));
  }
  EXPECT_EQ(SizeOf(BigTiff(uint64_t{1} << 40, 5)), (Size{uint64_t{1} << 40, 5}));
  // Of two widths the larger one, and a tile counts as the image does.
  EXPECT_EQ(SizeOf(Tiff(false, {{256, 3, 7}, {256, 3, 70}, {257, 3, 5}})), (Size{70, 5}));
  EXPECT_EQ(SizeOf(Tiff(false, {{256, 3, 7}, {257, 3, 5}, {322, 4, 70000}, {323, 4, 60000}})), (Size{70000, 60000}));
}

TEST(ImageHeader, OfATiffFileThatTrainingDoesNotReadIsRefused) {
  for (const uint64_t compression : {34925, 50000, 50001}) {  // LZMA, Zstandard, WebP
    EXPECT_THROW(SizeOf(Tiff(false, {{256, 3, 70}, {257, 3, 5}, {259, 3, compression}})), ImageError) << compression;
  }
  EXPECT_EQ(SizeOf(Tiff(false, {{256, 3, 70}, {257, 3, 5}, {259, 3, 8}})), (Size{70, 5}));
}

TEST(ImageHeader, OfABitmapMayHaveRowsFromTopToBottom) {
  Bytes bytes = Encode(".bmp", HalfRed(50, 70));
  const std::string height = Number(static_cast<uint32_t>(-50), 4);
  std::copy(height.begin(), height.end(), bytes.begin() + 22);
  EXPECT_EQ(SizeOf(bytes), (Size{70, 50}));
  EXPECT_EQ(SizeOf(ToBytes("BM" + std::string(12, 0) + Number(12, 4) + Number(70, 2) + Number(50, 2))), (Size{70, 50}));
}

TEST(ImageHeader, ThatIsCutOrHasNoSizeIsNone) {
  for (const char *suffix : {".png", ".bmp", ".tif", ".webp"}) {
    const Bytes whole = Encode(suffix, HalfRed(5, 8));
    for (size_t size = 0; size < 12; ++size) {
      EXPECT_EQ(SizeOf(Bytes(whole.begin(), whole.begin() + static_cast<long>(size))), Size{}) << suffix << size;
    }
  }
  EXPECT_EQ(SizeOf(Tiff(false, {{256, 3, 70}})), Size{});
  EXPECT_EQ(SizeOf(Tiff(false, {{256, 3, 70}, {257, 3, 0}})), Size{});
  EXPECT_EQ(SizeOf(Tiff(false, {{256, 3, 70}, {257, 5, 3}})), Size{});  // a fraction
  EXPECT_EQ(SizeOf(BigTiff(70, 0)), Size{});
  EXPECT_EQ(SizeOf(ToBytes("II" + Number(42, 2) + Number(0xffffffff, 4))), Size{});
  EXPECT_EQ(SizeOf(ToBytes("II" + Number(43, 2) + Number(8, 4) + Number(~0ULL, 8))), Size{});
}

TEST(ImageHeader, IsComparedWithTheLimitWithoutAnOverflow) {
  EXPECT_NO_THROW(CheckPixels({10000, 9000}, 178956970));
  EXPECT_THROW(CheckPixels({178956971, 1}, 178956970), ImageError);
  EXPECT_THROW(CheckPixels({uint64_t{1} << 32, uint64_t{1} << 32}, 178956970), ImageError);
}

}  // namespace
}  // namespace infer
