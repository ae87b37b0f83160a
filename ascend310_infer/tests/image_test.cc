#include "image.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "encoded_image.h"
#include "errors.h"
#include "jpeg.h"
#include "temporary_folder.h"

namespace infer {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;
using ImageTest = InFolder;

cv::Mat Decode(const Bytes &bytes) { return DecodeImage(bytes, kDefaultMaxPixels); }

// A file of a kind, whose signature it has.
std::string Png(const std::string &content) { return "\x89PNG\r\n\x1a\n" + content; }

// What an image is refused for; empty where it is not.
template <typename Function>
std::string Refusal(Function function) {
  try {
    function();
  } catch (const ImageError &error) {
    return error.what();
  }
  return "";
}

TEST(Image, LosslessFormatsComeOutInRgb) {
  for (const std::string suffix : {".png", ".bmp", ".tif", ".webp"}) {
    // Beyond 100, WebP keeps every pixel.
    const std::vector<int> parameters = suffix == ".webp" ? std::vector<int>{cv::IMWRITE_WEBP_QUALITY, 101}
                                                          : std::vector<int>{};
    const cv::Mat image = Decode(Encode(suffix, HalfRed(5, 8), parameters));
    ASSERT_EQ(image.type(), CV_8UC3) << suffix;
    ASSERT_EQ(image.size(), cv::Size(8, 5)) << suffix;
    EXPECT_EQ(image.at<cv::Vec3b>(4, 0), cv::Vec3b(255, 0, 0)) << suffix;
    EXPECT_EQ(image.at<cv::Vec3b>(0, 7), cv::Vec3b(0, 0, 0)) << suffix;
  }
}

TEST(Image, JpegComesOutAsItsDecoderGivesIt) {
  const Bytes bytes = Encode(".jpg", HalfRed(32, 64));
  EXPECT_EQ(cv::norm(Decode(bytes), DecodeJpeg(bytes, kDefaultMaxPixels), cv::NORM_INF), 0);
}

TEST(Image, WithMorePixelsThanTheLimitIsRefusedBeforeItIsDecoded) {
  for (const char *suffix : {".jpg", ".png", ".bmp", ".tif", ".webp"}) {
    const Bytes bytes = Encode(suffix, HalfRed(5, 8));
    EXPECT_NO_THROW(DecodeImage(bytes, 40)) << suffix;
    EXPECT_EQ(Refusal([&] { DecodeImage(bytes, 39); }), "too large: 8 x 5 pixels, and --max_image_pixels is 39") << suffix;
  }
}

TEST(Image, WhatIsNoImageIsRefused) {
  const std::string text = "GIF89a no picture at all";
  EXPECT_THROW(Decode({}), ImageError);
  EXPECT_THROW(Decode(Bytes(text.begin(), text.end())), ImageError);
  EXPECT_THROW(Decode({0xff, 0xd8, 0xff}), ImageError);
}

TEST_F(ImageTest, ReadsTheWholeFile) {
  const std::string content = Png(std::string(200000, 'x'));
  const Bytes bytes = ReadImageFile(Write("large", content));
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), content);
}

TEST_F(ImageTest, AFileThatIsNoImageIsNotReadToItsEnd) {
  EXPECT_EQ(Refusal([&] { ReadImageFile(Write("empty")); }), "the file is empty");
  const fs::path hole = Write("hole.jpg");
  fs::resize_file(hole, std::uintmax_t{1} << 30);
  EXPECT_EQ(Refusal([&] { ReadImageFile(hole); }), "not a JPEG, PNG, BMP, TIFF or WebP file");
  fs::resize_file(hole, std::uintmax_t{1} << 40);
  EXPECT_EQ(Refusal([&] { ReadImageFile(hole); }), "too large: 1099511627776 bytes");
}

TEST_F(ImageTest, WhatIsNotARegularFileIsRefusedAndNotWaitedFor) {
  ASSERT_EQ(mkfifo((folder_ / "pipe.jpg").c_str(), 0600), 0);
  fs::create_symlink("pipe.jpg", folder_ / "link.jpg");
  fs::create_symlink("/dev/zero", folder_ / "zero.jpg");
  fs::create_directory(folder_ / "folder.jpg");
  for (const char *name : {"pipe.jpg", "link.jpg", "zero.jpg", "folder.jpg"}) {
    EXPECT_EQ(Refusal([&] { ReadImageFile(folder_ / name); }), "not a regular file") << name;
  }
  fs::create_symlink(Write("good", Png("")), folder_ / "good.png");
  EXPECT_EQ(ReadImageFile(folder_ / "good.png").size(), 8u);
}

TEST_F(ImageTest, AMissingFileOrAFolderIsRefused) {
  EXPECT_THROW(ReadImageFile(folder_ / "missing"), ImageError);
  EXPECT_THROW(ReadImageFile(folder_), ImageError);
}

}  // namespace
}  // namespace infer
