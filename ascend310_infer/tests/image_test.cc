#include "image.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "encoded_image.h"
#include "errors.h"
#include "jpeg.h"
#include "temporary_folder.h"

namespace infer {
namespace {

using Bytes = std::vector<uint8_t>;
using ImageTest = InFolder;

TEST(Image, LosslessFormatsComeOutInRgb) {
  for (const char *suffix : {".png", ".bmp", ".tif"}) {
    const cv::Mat image = DecodeImage(Encode(suffix, HalfRed(5, 8)));
    ASSERT_EQ(image.type(), CV_8UC3) << suffix;
    ASSERT_EQ(image.size(), cv::Size(8, 5)) << suffix;
    EXPECT_EQ(image.at<cv::Vec3b>(4, 0), cv::Vec3b(255, 0, 0)) << suffix;
    EXPECT_EQ(image.at<cv::Vec3b>(0, 7), cv::Vec3b(0, 0, 0)) << suffix;
  }
}

TEST(Image, JpegComesOutAsItsDecoderGivesIt) {
  const Bytes bytes = Encode(".jpg", HalfRed(32, 64));
  EXPECT_EQ(cv::norm(DecodeImage(bytes), DecodeJpeg(bytes), cv::NORM_INF), 0);
}

TEST(Image, WhatIsNoImageIsRefused) {
  const std::string text = "GIF89a no picture at all";
  EXPECT_THROW(DecodeImage({}), ImageError);
  EXPECT_THROW(DecodeImage(Bytes(text.begin(), text.end())), ImageError);
  EXPECT_THROW(DecodeImage({0xff, 0xd8, 0xff}), ImageError);
}

TEST_F(ImageTest, ReadsTheWholeFile) {
  const std::string content(200000, 'x');
  const Bytes bytes = ReadImageFile(Write("large", content));
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), content);
  EXPECT_TRUE(ReadImageFile(Write("empty")).empty());
}

TEST_F(ImageTest, AMissingFileOrAFolderIsRefused) {
  EXPECT_THROW(ReadImageFile(folder_ / "missing"), ImageError);
  EXPECT_THROW(ReadImageFile(folder_), ImageError);
}

}  // namespace
}  // namespace infer
