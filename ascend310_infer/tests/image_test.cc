#include "image.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <opencv2/imgcodecs.hpp>
#include <string>
#include <vector>

#include "errors.h"
#include "temporary_folder.h"

namespace infer {
namespace {

using Bytes = std::vector<uint8_t>;
using ImageTest = InFolder;

// An image of OpenCV's channel order whose left half is red.
cv::Mat HalfRed(int rows, int columns) {
  cv::Mat image(rows, columns, CV_8UC3, cv::Scalar(0, 0, 0));
  image.colRange(0, columns / 2).setTo(cv::Scalar(0, 0, 255));
  return image;
}

Bytes Encode(const std::string &suffix, const cv::Mat &image, const std::vector<int> &parameters = {}) {
  Bytes bytes;
  cv::imencode(suffix, image, bytes, parameters);
  return bytes;
}

TEST(Image, LosslessFormatsComeOutInRgb) {
  for (const char *suffix : {".png", ".bmp", ".tif"}) {
    const cv::Mat image = DecodeImage(Encode(suffix, HalfRed(5, 8)));
    ASSERT_EQ(image.type(), CV_8UC3) << suffix;
    ASSERT_EQ(image.size(), cv::Size(8, 5)) << suffix;
    EXPECT_EQ(image.at<cv::Vec3b>(4, 0), cv::Vec3b(255, 0, 0)) << suffix;
    EXPECT_EQ(image.at<cv::Vec3b>(0, 7), cv::Vec3b(0, 0, 0)) << suffix;
  }
}

TEST(Image, JpegComesOutInRgbBaselineAndProgressive) {
  for (const int progressive : {0, 1}) {
    const cv::Mat image =
        DecodeImage(Encode(".jpg", HalfRed(32, 64), {cv::IMWRITE_JPEG_PROGRESSIVE, progressive}));
    ASSERT_EQ(image.size(), cv::Size(64, 32));
    EXPECT_LE(cv::norm(image.at<cv::Vec3b>(3, 3), cv::Vec3b(255, 0, 0), cv::NORM_INF), 3);
    EXPECT_LE(cv::norm(image.at<cv::Vec3b>(3, 60), cv::Vec3b(0, 0, 0), cv::NORM_INF), 3);
  }
}

TEST(Image, GreyJpegGetsThreeEqualChannels) {
  const cv::Mat image = DecodeImage(Encode(".jpg", cv::Mat(8, 8, CV_8UC1, cv::Scalar(77))));
  ASSERT_EQ(image.type(), CV_8UC3);
  EXPECT_EQ(image.at<cv::Vec3b>(2, 2), cv::Vec3b(77, 77, 77));
}

TEST(Image, EveryTruncationOfAJpegIsRefused) {
  for (const int progressive : {0, 1}) {
    const Bytes whole = Encode(".jpg", HalfRed(16, 16), {cv::IMWRITE_JPEG_PROGRESSIVE, progressive});
    ASSERT_NO_THROW(DecodeImage(whole));
    // The last two bytes are the end marker: without it no pixel is missing.
    for (size_t size = 0; size + 2 < whole.size(); ++size) {
      EXPECT_THROW(DecodeImage(Bytes(whole.begin(), whole.begin() + static_cast<long>(size))), ImageError) << size;
    }
  }
}

TEST(Image, ABaselineJpegWithoutItsEndMarkerIsWhole) {
  const Bytes whole = Encode(".jpg", HalfRed(16, 16));
  for (const long missing : {1, 2}) {
    const cv::Mat image = DecodeImage(Bytes(whole.begin(), whole.end() - missing));
    EXPECT_EQ(cv::norm(image, DecodeImage(whole), cv::NORM_INF), 0) << missing;
  }
}

TEST(Image, HugeJpegIsRefusedBeforeMemoryIsTaken) {
  Bytes bytes = Encode(".jpg", HalfRed(16, 16));
  for (size_t place = 0; place + 9 < bytes.size(); ++place) {
    if (bytes[place] == 0xff && bytes[place + 1] == 0xc0) {  // the frame header: height and width in bytes 5 to 8
      std::fill_n(bytes.begin() + static_cast<long>(place) + 5, 4, uint8_t{0xf0});
    }
  }
  EXPECT_THROW(DecodeImage(bytes), ImageError);
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
