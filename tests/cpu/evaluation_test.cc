// What evaluation is made of, by the definitions; and the network through its C functions: images do not depend on one
// another, calls from several threads and a child do, memory does not grow, and wrong calls are told.
#include <sys/resource.h>
#include <sys/wait.h>

#include "checks.h"
#include "classifier.h"
#include "network.h"

namespace xception {
namespace {

// The unit's depthwise and 1x1 convolution, in double.
template <class T>
std::vector<float> UnitByDefinition(const Shape &shape, bool rectify, const std::vector<T> &x,
                                    const std::vector<float> &depthwise, const std::vector<float> &pointwise,
                                    const std::vector<float> &bias) {
  const Index out = Index(bias.size());
  std::vector<float> y;
  std::vector<double> between(shape.channels);
  for (Index pixel = 0; pixel < shape.Pixels(); ++pixel) {
    const Index row = pixel / shape.width % shape.height, column = pixel % shape.width;
    for (Index channel = 0; channel < shape.channels; ++channel) {
      double sum = 0;
      for (Index i = 0; i < 9; ++i) {
        const Index h = row + i / 3 - 1, w = column + i % 3 - 1;
        if (h >= 0 && h < shape.height && w >= 0 && w < shape.width) {
          const double value = ToFloat(x[(pixel + (i / 3 - 1) * shape.width + i % 3 - 1) * shape.channels + channel]);
          sum += (rectify && value < 0 ? 0 : value) * depthwise[channel * 9 + i];
        }
      }
      between[channel] = sum;
    }
    for (Index o = 0; o < out; ++o) {
      double sum = bias[o];
      for (Index channel = 0; channel < shape.channels; ++channel) {
        sum += between[channel] * pointwise[o * shape.channels + channel];
      }
      y.push_back(static_cast<float>(sum));
    }
  }
  return y;
}

template <class T>
void TestUnit(ThreadPool &pool, const Shape &shape, Index out, double tolerance, double special = 0) {
  auto x = RandomValues<T>(shape.Values());
  Set(x[x.size() / 2], special);
  const auto depthwise = RandomValues<float>(shape.channels * 9);
  const auto pointwise = RandomValues<float>(out * shape.channels), bias = RandomValues<float>(out);
  FixedUnit<T> unit(depthwise.data(), shape.channels, out,
                    FixedConvolution(shape.channels, out, 1, 1, kTypeOf<T>, pointwise.data(), bias.data()));
  for (const bool rectify : {false, true}) {
    std::vector<T> y(shape.Pixels() * out);
    const Before before = rectify ? Before::kRelu : Before::kNothing;
    unit.Run(pool, shape, before, x.data(), y.data(), false);
    const auto expected = UnitByDefinition(shape, rectify, x, depthwise, pointwise, bias);
    CHECK(Difference(y, expected) <= tolerance, "%g of %ld x %ld x %ld -> %ld, %d threads", Difference(y, expected),
          shape.height, shape.width, shape.channels, out, pool.Threads());
    std::vector<float> twice(expected);
    for (float &value : twice) {
      value *= 2;
    }
    unit.Run(pool, shape, before, x.data(), y.data(), true);
    CHECK(Difference(y, twice) <= 2 * tolerance, "%g", Difference(y, twice));
  }
}

template <class T>
void TestUnits(double tolerance) {
  for (int threads = 1; threads <= 3; ++threads) {
    ThreadPool pool(threads);
    TestUnit<T>(pool, {1, 5, 7, 728}, 24, tolerance);
    TestUnit<T>(pool, {1, 3, 3, 16}, 8, tolerance);    // few pixels
    TestUnit<T>(pool, {2, 21, 40, 256}, 8, tolerance);  // several pieces
    for (const double special : {HUGE_VAL, -HUGE_VAL, std::nan(""), -0.0, 1e-40}) {
      TestUnit<T>(pool, {1, 11, 9, 24}, 16, tolerance, special);
    }
    for (int i = 0; i < 8; ++i) {
      TestUnit<T>(pool, {Between(1, 3), Between(1, 20), Between(1, 20), 8 * Between(1, 9)}, 8 * Between(1, 9),
                  tolerance);
    }
  }
}

template <class T>
void TestKernels(double tolerance) {
  ThreadPool pool(2);
  for (int i = 0; i < 10; ++i) {
    const Shape shape{Between(1, 3), Between(1, 9), Between(1, 9), 8 * Between(1, 70)};
    auto x = RandomValues<T>(shape.Values());
    Set(x[0], i == 1 ? std::nan("") : i == 2 ? HUGE_VAL : -0.0);
    const Shape half{shape.images, (shape.height + 1) / 2, (shape.width + 1) / 2, shape.channels};
    for (const bool rectify : {false, true}) {
      std::vector<T> y(half.Values());
      std::vector<float> expected;
      GatherEvery2nd(pool, shape, x.data(), y.data(), rectify);
      for (Index j = 0; j < half.Values(); ++j) {
        const Index channel = j % half.channels, column = j / half.channels % half.width;
        const Index row = j / half.Row() % half.height, image = j / half.Image();
        const Index pixel = (image * shape.height + row * 2) * shape.width + column * 2;
        const float value = ToFloat(x[pixel * shape.channels + channel]);
        expected.push_back(rectify && value < 0 ? 0 : value);
      }
      CHECK(Difference(y, expected) == 0);
    }
    std::vector<float> mean(shape.images * shape.channels), expected;
    RectifiedMean(pool, shape, x.data(), mean.data());
    for (Index j = 0; j < Index(mean.size()); ++j) {
      double sum = 0;
      for (Index pixel = 0; pixel < shape.height * shape.width; ++pixel) {
        const Index image = j / shape.channels, channel = j % shape.channels;
        const double value = ToFloat(x[image * shape.Image() + pixel * shape.channels + channel]);
        sum += value < 0 ? 0 : value;
      }
      expected.push_back(static_cast<float>(sum / static_cast<double>(shape.height * shape.width)));
    }
    CHECK(Difference(mean, expected) <= 1e-5, "%g", Difference(mean, expected));
  }
  Folded folded{RandomValues<float>(32 * 27), RandomValues<float>(32)};
  for (int i = 0; i < 5; ++i) {
    Images images{nullptr, false, Between(1, 2), Between(17, 40), Between(17, 40)};
    const Index values = images.images * images.height * images.width;
    std::vector<std::uint8_t> bytes(values * 3);
    std::vector<float> floats(values * 3);
    for (Index j = 0; j < values * 3; ++j) {
      bytes[j] = static_cast<std::uint8_t>(Between(0, 255));
      const Index pixel = j / 3 % (values / images.images), image = j / 3 / (values / images.images);
      floats[(image * 3 + j % 3) * (values / images.images) + pixel] = (static_cast<float>(bytes[j]) - 127.5F) / 127.5F;
    }
    const Shape out = FirstConvolution::Output(images);
    std::vector<T> y(out.Values()), same(out.Values());
    std::vector<float> expected;
    images.data = floats.data();
    FirstConvolution(folded).Run(pool, images, y.data());
    Images as_bytes = images;
    as_bytes.data = bytes.data();
    as_bytes.are_bytes = true;
    FirstConvolution(folded).Run(pool, as_bytes, same.data());
    CHECK(std::memcmp(y.data(), same.data(), y.size() * sizeof(T)) == 0);
    for (Index j = 0; j < out.Values(); ++j) {
      const Index channel = j % 32, column = j / 32 % out.width, row = j / out.Row() % out.height;
      double sum = folded.bias[channel];
      for (Index k = 0; k < 27; ++k) {
        const Index line = row * 2 + k % 9 / 3, place = column * 2 + k % 3;
        sum += double{floats[((j / out.Image() * 3 + k / 9) * images.height + line) * images.width + place]} *
               folded.weight[channel * 27 + k];
      }
      expected.push_back(static_cast<float>(std::max(sum, 0.0)));
    }
    CHECK(Difference(y, expected) <= tolerance, "%g", Difference(y, expected));
  }
}

}  // namespace
}  // namespace xception

int main() {
  using namespace xception;
  TestUnits<float>(1e-5);
  TestKernels<float>(1e-5);
  if (HasBFloat16()) {
    TestUnits<BFloat16>(2e-2);
    TestKernels<BFloat16>(1e-2);
  }
  return Failures() ? 1 : 0;
}
