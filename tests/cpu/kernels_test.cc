// The kernels of training are the layers' definitions, for any shape, and what is no number passes through them.
#include "block.h"

#include "layer_cases.h"

namespace xception {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInf = std::numeric_limits<double>::infinity();
const double kSpecial[] = {kNan, kInf, -kInf, -0.0, 0.0, 1e-40, -1e-40, 1e30};

Shape RandomShape() { return {Between(1, 2), Between(1, 9), Between(1, 9), 8 * Between(1, 6)}; }

// Whether values are the expected ones, as near as T can be, and the same ones are NaN or infinite.
template <class T>
bool AreSame(const std::vector<T> &found, const std::vector<double> &expected, double tolerance) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double a = ToFloat(found[i]), b = static_cast<float>(expected[i]);
    if (std::isnan(a) != std::isnan(b) || (std::isinf(b) ? a != b : std::abs(a - b) > tolerance * (1 + std::abs(b)))) {
      return false;
    }
  }
  return true;
}

template <class T>
void PutSpecials(std::vector<T> *values, int count) {
  for (int i = 0; i < count; ++i) Set((*values)[Between(0, values->size() - 1)], kSpecial[Between(0, 7)]);
}

template <class T>
void TestDepthwise(ThreadPool &pool, Before before, int specials, double tolerance) {
  const Shape shape = RandomShape();
  auto x = RandomValues<T>(shape.Values()), dy = RandomValues<T>(shape.Values());
  PutSpecials(&x, specials);
  PutSpecials(&dy, specials);
  const auto weight = RandomValues<float>(shape.channels * 9), gamma = RandomValues<float>(shape.channels),
             beta = RandomValues<float>(shape.channels);
  std::vector<float> statistics(2 * shape.channels, 1), dweight(weight.size());
  std::fill_n(statistics.begin(), shape.channels, 0.5F);
  NormParameters parameters{};
  parameters.gamma = gamma.data();
  parameters.beta = beta.data();
  const Normalisation norm(parameters, statistics.data(), shape.channels);
  std::vector<T> y(x.size()), dx(x.size());
  DepthwiseForward(pool, shape, before, norm.scale.data(), norm.shift.data(), x.data(), weight.data(), y.data());
  const DepthwiseInputs<T> inputs{shape, before, before == Before::kNormRelu ? &norm : nullptr, x.data(),
                                  weight.data()};
  const NormSums sums = DepthwiseBackward(pool, inputs, {}, dy.data(), dx.data(), dweight.data());

  Reference reference;
  const Node x_node = reference.Input(shape, Doubles(x)), w = reference.Parameter(weight);
  Reference::Statistics given{std::vector<double>(shape.channels, 0.5), std::vector<double>(shape.channels, 1 - 1e-5)};
  const Node gamma_node = reference.Parameter(gamma), beta_node = reference.Parameter(beta);
  Node node = x_node;
  if (before == Before::kNormRelu) node = reference.Norm(node, gamma_node, beta_node, &given, nullptr);
  const Node normalised = node;
  if (before != Before::kNothing) node = reference.Relu(node);
  node = reference.Depthwise(node, w);
  CHECK(AreSame(y, node->values, tolerance), "of %ld x %ld", shape.height, shape.width);
  reference.Backward(node, Doubles(dy));
  CHECK(AreSame(dx, normalised->gradients, tolerance), "dx of %ld x %ld", shape.height, shape.width);
  if (specials) return;  // of infinity and the border of zeros the kernel makes NaN in the sums
  CHECK(AreSame(dweight, w->gradients, tolerance), "dweight");
  if (before != Before::kNormRelu) return;
  std::vector<float> products(sums.products, sums.products + shape.channels);
  std::vector<float> gradients(sums.gradients, sums.gradients + shape.channels);
  CHECK(AreSame(products, gamma_node->gradients, tolerance), "products");
  CHECK(AreSame(gradients, beta_node->gradients, tolerance), "gradients");
}

template <class T>
void TestPooling(ThreadPool &pool, bool symmetric, int specials) {
  const Pooling pooling(RandomShape(), symmetric);
  const Index channels = pooling.in.channels, count = pooling.out.Values();
  std::vector<T> x(pooling.in.Values()), y(count), values(count), added(count), dx(x.size()), dy(count);
  for (T &value : x) Set(value, Between(-2, 2));  // with many that are equal
  for (T &value : added) Set(value, Between(-2, 2));
  for (T &value : dy) Set(value, Between(-2, 2));
  PutSpecials(&x, specials);
  MaxPoolForward<T>(pool, pooling.in, symmetric, x.data(), nullptr, y.data());
  Reference reference;
  const Node x_node = reference.Input(pooling.in, Doubles(x)), plain = reference.MaxPool(x_node, symmetric);
  CHECK(AreSame(y, plain->values, 0), "of %ld x %ld", pooling.in.height, pooling.in.width);
  const Node other = reference.Input(pooling.out, Doubles(added));
  MaxPoolForward(pool, pooling.in, symmetric, x.data(), added.data(), y.data());
  CHECK(AreSame(y, reference.Add(plain, other)->values, 0), "with what is added");

  std::vector<float> gamma(channels), ones(channels, 1), statistics(2 * channels, 1);
  for (float &value : gamma) value = static_cast<float>(Between(-1, 1));
  std::fill_n(statistics.begin(), channels, 0.0F);
  NormParameters parameters{};
  parameters.gamma = gamma.data();
  parameters.beta = ones.data();
  parameters.frozen = true;
  const Normalisation norm(parameters, statistics.data(), channels);
  parameters.gamma = ones.data();
  const Normalisation shortcut(parameters, statistics.data(), channels);
  std::vector<std::uint8_t> places(count);
  NormMaxPoolForward(pool, pooling, norm, x.data(), shortcut, added.data(), y.data(),
                     KeptMaxima<T>{places.data(), values.data()});
  parameters.gamma = gamma.data();
  const NormBackward backward(parameters, norm, NormSums(std::vector<double>(2 * channels), channels), 1, {});
  NormMaxPoolBackward(pool, pooling, backward, x.data(), places.data(), dy.data(), dx.data());
  Reference whole;
  const Node start = whole.Input(pooling.in, Doubles(x));
  const Reference::Statistics given{std::vector<double>(channels), std::vector<double>(channels, 1 - 1e-5)};
  Node node = whole.Norm(start, whole.Parameter(gamma), whole.Parameter(ones), &given, nullptr);
  node = whole.MaxPool(node, symmetric);
  const Node sum = whole.Add(node, whole.Input(pooling.out, Doubles(added)));
  for (double &value : sum->values) value += 1;  // the shortcut's beta
  CHECK(AreSame(y, sum->values, 0), "of %ld x %ld", pooling.in.height, pooling.in.width);
  whole.Backward(sum, Doubles(dy));
  CHECK(AreSame(dx, start->gradients, 0), "dx of %ld x %ld", pooling.in.height, pooling.in.width);
  for (Index i = 0; i < count && !specials; ++i) {
    const double value = ToFloat(values[i]) * gamma[i % channels] + 1;
    CHECK(places[i] < 9 && value == node->values[i], "place %d has %g", places[i], value);
  }
}

// The variance of values far from 0, and of few.
void TestStatistics(ThreadPool &pool) {
  for (const Index pixels : {1, 2, 3, 64, 1000, 5000}) {
    const Index channels = 24;
    auto z = RandomValues<float>(pixels * channels, 0.01);
    for (float &value : z) value += 1000;
    z[0] = 900;  // the origin of the differences in its channel
    std::vector<float> mean(channels, 1), variance(channels, 2), statistics(2 * channels), moved(2 * channels);
    const NormParameters norm{nullptr, nullptr, mean.data(), variance.data(), false, &moved[0], &moved[channels]};
    Measure(pool, norm, pixels, channels, z.data(), statistics.data());
    for (Index c = 0; c < channels; ++c) {
      double sum = 0, squares = 0;
      for (Index i = 0; i < pixels; ++i) sum += z[i * channels + c] / double(pixels);
      for (Index i = 0; i < pixels; ++i) squares += std::pow(z[i * channels + c] - sum, 2);
      const double inverse = 1 / std::sqrt(squares / double(pixels) + 1e-5);
      CHECK(std::abs(statistics[c] - sum) < 1e-4, "%g, but the mean is %g", statistics[c], sum);
      CHECK(std::abs(statistics[channels + c] / inverse - 1) < 1e-3, "%g", statistics[channels + c] / inverse);
      const double unbiased = squares / double(std::max<Index>(pixels - 1, 1));
      CHECK(std::abs(moved[c] - (0.9 + 0.1 * sum)) < 1e-4, "%g", moved[c]);
      CHECK(std::abs(moved[channels + c] / (1.8 + 0.1 * unbiased) - 1) < 1e-3, "%g", moved[channels + c]);
    }
    z[5] = kNan;
    Measure(pool, norm, pixels, channels, z.data(), statistics.data());
    CHECK(std::isnan(statistics[5]) && std::isnan(statistics[channels + 5]), "NaN is lost");
    CHECK(!std::isnan(statistics[6]), "NaN of another channel");
  }
}

template <class T>
void TestGather(ThreadPool &pool) {
  const Shape shape = RandomShape(), half = EverySecond(shape);
  const auto x = RandomValues<T>(shape.Values());
  std::vector<T> y(half.Values());
  GatherEvery2nd(pool, shape, x.data(), y.data());
  Reference reference;
  const Node all = reference.Input(shape, Doubles(x)), some = reference.Input(half, Doubles(y));
  for (Index n = 0; n < half.images; ++n)
    for (Index h = 0; h < half.height; ++h)
      for (Index w = 0; w < half.width; ++w)
        for (Index c = 0; c < half.channels; ++c)
          CHECK(some->At(n, h, w, c) == all->At(n, h * 2, w * 2, c), "at %ld, %ld", h, w);
}

// To the nearest, to the even one between two.
template <int kValues>
void TestRounding() {
  for (std::uint32_t high = 0; high < 65536; ++high) {
    float values[kValues];
    BFloat16 rounded[kValues];
    std::uint32_t bits[kValues];
    for (int i = 0; i < kValues; ++i) {
      const std::uint32_t low[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x1234, 0x9876};
      bits[i] = high << 16 | low[i % 8];
      std::memcpy(&values[i], &bits[i], sizeof(float));
    }
    Vector<kValues>::Load(values).Store(rounded);
    for (int i = 0; i < kValues; ++i) {
      const std::uint32_t nearest = (bits[i] + 0x7fff + (bits[i] >> 16 & 1)) >> 16;
      const bool is_small = (bits[i] & 0x7f800000) == 0;  // denormals may become zeros
      CHECK(std::isnan(values[i]) ? std::isnan(ToFloat(rounded[i]))
                                  : rounded[i].bits == nearest || (is_small && (rounded[i].bits & 0x7fff) <= 0x80),
            "%08x becomes %04x", bits[i], rounded[i].bits);
    }
  }
}

template <class T>
void TestType(ThreadPool &pool, double tolerance) {
  for (int i = 0; i < 20; ++i) {
    for (const Before before : {Before::kNothing, Before::kRelu, Before::kNormRelu}) {
      TestDepthwise<T>(pool, before, 0, tolerance);
      TestDepthwise<T>(pool, before, 5, tolerance);
    }
    TestPooling<T>(pool, i % 2, 0);
    TestPooling<T>(pool, i % 2, 5);
    TestGather<T>(pool);
  }
}

}  // namespace
}  // namespace xception

int main() {
  using namespace xception;
  TestRounding<8>();
  TestRounding<kWidest>();
  for (int threads = 1; threads <= 3; ++threads) {
    ThreadPool pool(threads);
    TestType<float>(pool, 1e-5);
    TestType<BFloat16>(pool, 1e-2);
    TestStatistics(pool);
  }
  return Failures() ? 1 : 0;
}
