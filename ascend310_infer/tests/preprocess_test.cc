#include "preprocess.h"

#include <gtest/gtest.h>

#include <vector>

#include "errors.h"

namespace infer {
namespace {

TEST(Preprocess, GivesPlanesFromMinusOneToOne) {
  const cv::Mat image(90, 80, CV_8UC3, cv::Scalar(0, 255, 51));
  const ImageSize size{7, 5};
  const std::vector<float> values = Preprocess(image, size);
  ASSERT_EQ(values.size(), size.elements());
  for (size_t pixel = 0; pixel < 35; ++pixel) {
    EXPECT_EQ(values[pixel], -1.0f);
    EXPECT_EQ(values[35 + pixel], 1.0f);
    EXPECT_FLOAT_EQ(values[70 + pixel], -0.6f);
  }
}

TEST(Preprocess, CropsTheCentreOfTheResizedImage) {
  // Of the size that the shorter side is resized to, so that no pixel changes: the crop starts at (320 - 299) / 2 = 10
  // rows and (400 - 299) / 2 = 50 columns.
  cv::Mat image(320, 400, CV_8UC3, cv::Scalar::all(0));
  image.at<cv::Vec3b>(10, 50) = cv::Vec3b(255, 0, 0);
  image.at<cv::Vec3b>(308, 348) = cv::Vec3b(0, 0, 255);
  const std::vector<float> values = Preprocess(image, {299, 299});
  EXPECT_EQ(values.front(), 1.0f);
  EXPECT_EQ(values.back(), 1.0f);
  EXPECT_EQ(values[1], -1.0f);
}

TEST(Preprocess, TakesImagesOfEveryShape) {
  for (const cv::Size &shape : {cv::Size(1, 1), cv::Size(1, 50), cv::Size(2000, 3), cv::Size(71, 72)}) {
    const cv::Mat image(shape, CV_8UC3, cv::Scalar::all(255));
    const std::vector<float> values = Preprocess(image, {71, 71});
    EXPECT_EQ(values, std::vector<float>(values.size(), 1.0f)) << shape;
  }
}

TEST(Preprocess, RefusesAnImageThatResizedWouldFillTheMemory) {
  EXPECT_THROW(Preprocess(cv::Mat(1, 65500, CV_8UC3, cv::Scalar::all(0)), {299, 299}), ImageError);
}

}  // namespace
}  // namespace infer
