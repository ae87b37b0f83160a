#include "jpeg.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "encoded_image.h"
#include "errors.h"
#include "image.h"

namespace infer {
namespace {

using Bytes = std::vector<uint8_t>;

cv::Mat FromJpeg(const Bytes &bytes) { return DecodeJpeg(bytes, kDefaultMaxPixels); }

TEST(Jpeg, ComesOutInRgbBaselineAndProgressive) {
  for (const int progressive : {0, 1}) {
    const cv::Mat image =
        FromJpeg(Encode(".jpg", HalfRed(32, 64), {cv::IMWRITE_JPEG_PROGRESSIVE, progressive}));
    ASSERT_EQ(image.size(), cv::Size(64, 32));
    EXPECT_LE(cv::norm(image.at<cv::Vec3b>(3, 3), cv::Vec3b(255, 0, 0), cv::NORM_INF), 3);
    EXPECT_LE(cv::norm(image.at<cv::Vec3b>(3, 60), cv::Vec3b(0, 0, 0), cv::NORM_INF), 3);
  }
}

TEST(Jpeg, InGreyGetsThreeEqualChannels) {
  const cv::Mat image = FromJpeg(Encode(".jpg", cv::Mat(8, 8, CV_8UC1, cv::Scalar(77))));
  ASSERT_EQ(image.type(), CV_8UC3);
  EXPECT_EQ(image.at<cv::Vec3b>(2, 2), cv::Vec3b(77, 77, 77));
}

TEST(Jpeg, IsRefusedWhereverItIsCut) {
  for (const int progressive : {0, 1}) {
    const Bytes whole = Encode(".jpg", HalfRed(16, 16), {cv::IMWRITE_JPEG_PROGRESSIVE, progressive});
    ASSERT_NO_THROW(FromJpeg(whole));
    // The last two bytes are the end marker: without it no pixel is missing.
    for (size_t size = 0; size + 2 < whole.size(); ++size) {
      EXPECT_THROW(FromJpeg(Bytes(whole.begin(), whole.begin() + static_cast<long>(size))), ImageError) << size;
    }
  }
}

TEST(Jpeg, InBaselineWithoutItsEndMarkerIsWhole) {
  const Bytes whole = Encode(".jpg", HalfRed(16, 16));
  for (const long missing : {1, 2}) {
    const cv::Mat image = FromJpeg(Bytes(whole.begin(), whole.end() - missing));
    EXPECT_EQ(cv::norm(image, FromJpeg(whole), cv::NORM_INF), 0) << missing;
  }
}

TEST(Jpeg, ThatIsHugeIsRefusedBeforeMemoryIsTaken) {
  Bytes bytes = Encode(".jpg", HalfRed(16, 16));
  for (size_t place = 0; place + 9 < bytes.size(); ++place) {
    if (bytes[place] == 0xff && bytes[place + 1] == 0xc0) {  // the frame header: height and width in bytes 5 to 8
      std::fill_n(bytes.begin() + static_cast<long>(place) + 5, 4, uint8_t{0xf0});
    }
  }
  EXPECT_THROW(FromJpeg(bytes), ImageError);
  const Bytes small = Encode(".jpg", HalfRed(16, 17));
  EXPECT_NO_THROW(DecodeJpeg(small, 16 * 17));
  EXPECT_THROW(DecodeJpeg(small, 16 * 17 - 1), ImageError);
}

}  // namespace
}  // namespace infer
