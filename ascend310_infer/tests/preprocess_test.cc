#include "preprocess.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "errors.h"

namespace infer {
namespace {

TEST(Preprocess, GivesPlanesFromMinusOneToOne) {
  const cv::Mat image(90, 80, CV_8UC3, cv::Scalar(0, 255, 51));
  const ImageSize size{7, 5};
  const std::vector<float> values = Preprocess(image, size, {});
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
  const std::vector<float> values = Preprocess(image, {299, 299}, {});
  EXPECT_EQ(values.front(), 1.0f);
  EXPECT_EQ(values.back(), 1.0f);
  EXPECT_EQ(values[1], -1.0f);
}

TEST(Preprocess, TakesImagesOfEveryShape) {
  for (const cv::Size &shape : {cv::Size(1, 1), cv::Size(1, 50), cv::Size(2000, 3), cv::Size(71, 72)}) {
    const cv::Mat image(shape, CV_8UC3, cv::Scalar::all(255));
    const std::vector<float> values = Preprocess(image, {71, 71}, {});
    EXPECT_EQ(values, std::vector<float>(values.size(), 1.0f)) << shape;
  }
}

TEST(Preprocess, RefusesAnImageThatResizedWouldFillTheMemory) {
  EXPECT_THROW(Preprocess(cv::Mat(1, 65500, CV_8UC3, cv::Scalar::all(0)), {299, 299}, {}), ImageError);
}

TEST(Preprocess, RoundsTheResizedSideAsPythonDoes) {
  struct Case {
    int side;
    double crop_pct;
    int resized;
  };
  for (const Case &each : {Case{299, 0.934375, 320}, Case{71, 0.934375, 76}, Case{299, 0.8975, 333},
                           Case{150, 0.48, 312}, Case{150, 0.8, 188}, Case{71, 1, 71}}) {
    // Of the size that the shorter side is resized to, so that no pixel changes: the crop begins at a known one.
    cv::Mat image(each.resized, each.resized + 2, CV_8UC3, cv::Scalar::all(0));
    const int top = (each.resized - each.side) / 2;
    image.at<cv::Vec3b>(top, (each.resized + 2 - each.side) / 2) = cv::Vec3b(255, 0, 0);
    const std::vector<float> values = Preprocess(image, {each.side, each.side}, {each.crop_pct});
    EXPECT_EQ(values[0], 1.0f) << each.side << " / " << each.crop_pct;
    EXPECT_EQ(values[1], -1.0f) << each.side << " / " << each.crop_pct;
  }
}

TEST(Preprocess, OfANetworkThatIsNotSquareTakesItsLongerSide) {
  cv::Mat image(152, 152, CV_8UC3, cv::Scalar::all(0));
  image.at<cv::Vec3b>((152 - 71) / 2, (152 - 142) / 2) = cv::Vec3b(255, 0, 0);
  EXPECT_EQ(Preprocess(image, {71, 142}, {})[0], 1.0f);
}

TEST(Preprocess, InterpolatesByTwoPixelsOrFour) {
  cv::Mat image(4, 4, CV_8UC3, cv::Scalar::all(100));
  image.col(3).setTo(cv::Scalar::all(200));
  const auto least = [&](Interpolation interpolation) {
    const std::vector<float> values = Preprocess(image, {71, 71}, {1, interpolation});
    return *std::min_element(values.begin(), values.end());
  };
  EXPECT_EQ(least(Interpolation::kBilinear), (100 - 127.5f) / 127.5f);
  EXPECT_LT(least(Interpolation::kBicubic), (95 - 127.5f) / 127.5f);  // it swings below, beside the edge
}

TEST(Preprocess, RefusesAShareThatMakesNoSize) {
  const cv::Mat image(80, 80, CV_8UC3, cv::Scalar::all(0));
  for (const double crop_pct : {0.0, -1.0, 1e-300, 0.001, 1.1, std::nan("")}) {
    EXPECT_THROW(Preprocess(image, {71, 71}, {crop_pct}), std::invalid_argument) << crop_pct;
  }
}

}  // namespace
}  // namespace infer
