// Convolutions and their gradients are those of the definition, of any size, and pass NaN and infinity through.
#include "convolution.h"

#include "checks.h"
#include "pointwise.h"

namespace xception {
namespace {

struct Case {
  Index in, out, kernel, stride;
  Shape x;
};

// Calls work(place in x, place in weight, place in y) for all products of a convolution.
template <class Work>
void ForProducts(const Case &c, const Shape &y, const Work &work) {
  for (Index n = 0; n < y.images; ++n)
    for (Index h = 0; h < y.height; ++h)
      for (Index w = 0; w < y.width; ++w)
        for (Index o = 0; o < c.out; ++o)
          for (Index i = 0; i < c.in; ++i)
            for (Index p = 0; p < c.kernel; ++p)
              for (Index q = 0; q < c.kernel; ++q) {
                const Index row = h * c.stride + p, column = w * c.stride + q;
                work(n * c.x.Image() + row * c.x.Row() + column * c.in + i,
                     ((o * c.in + i) * c.kernel + p) * c.kernel + q,
                     n * y.Image() + h * y.Row() + w * c.out + o);
              }
}

template <class T>
void TestCase(ThreadPool &pool, const Case &c, double tolerance, const char *special = nullptr) {
  const Convolution<T> convolution(c.in, c.out, c.kernel, c.stride);
  const Shape y = convolution.Output(c.x);
  const Index weights = c.in * c.out * c.kernel * c.kernel;
  auto x = RandomValues<T>(c.x.Values()), dy = RandomValues<T>(y.Values());
  const auto weight = RandomValues<float>(weights), bias = RandomValues<float>(c.out);
  if (special) {
    Set(x[0], std::strtod(special, nullptr));
    Set(dy[1], std::strtod(special, nullptr));
  }
  std::vector<float> rounded(weight.size());  // as the products have them
  for (std::size_t i = 0; i < weight.size(); ++i) {
    T narrow;
    Set(narrow, weight[i]);
    rounded[i] = ToFloat(narrow);
  }
  std::vector<double> sums(y.Values()), dx_sums(c.x.Values()), dweight_sums(weights);
  ForProducts(c, y, [&](Index i, Index j, Index k) {
    sums[k] += double{ToFloat(x[i])} * rounded[j];
    dx_sums[i] += double{ToFloat(dy[k])} * rounded[j];
    dweight_sums[j] += double{ToFloat(x[i])} * ToFloat(dy[k]);
  });
  const auto floats = [](const std::vector<double> &values) {
    return std::vector<float>(values.begin(), values.end());
  };
  std::vector<T> found(y.Values()), dx(c.x.Values());
  std::vector<float> dweight(weights);
  for (int turn = 0; turn < 2; ++turn) {  // made, and found again
    convolution.Forward(pool, c.x, x.data(), weight.data(), found.data());
    convolution.BackwardData(pool, c.x, dy.data(), weight.data(), dx.data());
    convolution.BackwardWeight(pool, c.x, x.data(), dy.data(), dweight.data());
    const double differences[] = {Difference(found, floats(sums)), Difference(dx, floats(dx_sums)),
                                  Difference(dweight, floats(dweight_sums))};
    for (const double difference : differences) {
      CHECK(difference <= tolerance, "%g of %ld -> %ld, kernel %ld by %ld, %ld x %ld", difference, c.in, c.out,
            c.kernel, c.stride, c.x.height, c.x.width);
    }
  }
  FixedConvolution fixed(c.in, c.out, c.kernel, c.stride, kTypeOf<T>, weight.data(), bias.data());
  FixedConvolution without(c.in, c.out, c.kernel, c.stride, kTypeOf<T>, weight.data(), nullptr);
  for (int sum = 1; sum < 3; ++sum) {
    fixed.Run(pool, c.x, x.data(), found.data(), sum == 2);
    without.Run(pool, c.x, x.data(), found.data(), true);
  }
  std::vector<double> expected(sums);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    expected[i] = 4 * sums[i] + 2 * double{bias[i % c.out]};
  }
  CHECK(Difference(found, floats(expected)) <= 3 * tolerance, "%g", Difference(found, floats(expected)));
}

template <class T>
void TestType(ThreadPool &pool, double tolerance) {
  TestCase<T>(pool, {3, 32, 3, 2, {2, 9, 12, 3}}, tolerance);
  TestCase<T>(pool, {32, 64, 3, 1, {1, 7, 5, 32}}, tolerance);
  TestCase<T>(pool, {728, 728, 1, 1, {1, 5, 3, 728}}, tolerance);
  TestCase<T>(pool, {256, 10, 1, 1, {3, 1, 1, 256}}, tolerance);
  for (int i = 0; i < 12; ++i) {
    const Index in = 8 * Between(1, 24), out = 8 * Between(1, 24);
    TestCase<T>(pool, {in, out, 1, 1, {Between(1, 3), Between(1, 9), Between(1, 9), in}}, tolerance);
  }
  for (const char *special : {"nan", "inf", "-inf", "-0", "1e-40"}) {
    TestCase<T>(pool, {16, 16, 1, 1, {2, 3, 3, 16}}, tolerance, special);
    TestCase<T>(pool, {136, 144, 1, 1, {1, 3, 3, 136}}, tolerance, special);
  }
}

}  // namespace
}  // namespace xception

int main() {
  using namespace xception;
  for (int threads = 1; threads <= 3; ++threads) {
    ThreadPool pool(threads);
    TestType<float>(pool, 1e-5);
    if (HasBFloat16()) {
      TestType<BFloat16>(pool, 1e-2);
    }
  }
  return Failures() ? 1 : 0;
}
