// Blocks, the stem and the tail in training: results, all gradients and moving statistics are those of the layers.
#include "block.h"

#include "layer_cases.h"
#include "stem.h"
#include "tail.h"

namespace xception {
namespace {

// `wanted`: from which unit on gradients of parameters are.
template <class T>
void TestBlock(ThreadPool &pool, const Shape &shape, const std::vector<Index> &widths, int flags, std::size_t wanted,
               bool wants_x, double tolerance) {
  BlockSpec spec{shape, (flags & 1) != 0, (flags & 2) != 0, (flags & 4) != 0, {}, {}};
  const bool frozen = (flags & 8) != 0;
  std::vector<UnitCase<T>> units;
  Index channels = shape.channels;
  for (const Index width : widths) {
    units.emplace_back(shape, channels, width, frozen && units.empty());
    channels = width;
  }
  WeightCase shortcut(shape.channels * channels, 1 / std::sqrt(shape.channels));
  NormCase shortcut_norm(channels, frozen);
  KeptBlock<T> kept;
  BlockGradients<T> gradients{nullptr, {}, shortcut.gradients.data(), shortcut_norm.Gradients()};
  for (std::size_t i = 0; i < units.size(); ++i) {
    spec.units.push_back(units[i].Parameters());
    kept.units.push_back(units[i].Kept());
    gradients.units.push_back(i < wanted ? UnitGradients{} : units[i].Gradients());
  }
  spec.shortcut = {shortcut.values.data(), shortcut_norm.Parameters()};
  const Index count = spec.Y().Values();
  const auto x = RandomValues<T>(shape.Values()), dy = RandomValues<T>(count);
  std::vector<T> y(count), dx(x.size()), convolved(count), maxima(count);
  std::vector<std::uint8_t> places(count);
  kept.shortcut = {convolved.data(), shortcut_norm.statistics.data(), places.data(), maxima.data()};
  gradients.x = wants_x ? dx.data() : nullptr;

  BlockForward(pool, spec, x.data(), y.data(), kept);
  BlockBackward(pool, spec, x.data(), kept, dy.data(), gradients);

  Reference reference;
  const Node x_node = reference.Input(shape, Doubles(x));
  Node node = spec.starts_with_relu ? reference.Relu(x_node) : x_node;
  for (std::size_t i = 0; i < units.size(); ++i) {
    node = units[i].Apply(reference, i ? reference.Relu(node) : node);
  }
  Node other = x_node;
  if (spec.strided) {
    node = reference.MaxPool(node, spec.symmetric);
    other = reference.Pointwise(x_node, shortcut.Use<T>(reference), channels, 2);
    other = shortcut_norm.Apply(reference, reference.Kept<T>(other));
  }
  node = reference.Add(node, other);
  CHECK(Distance(y, node->values) <= tolerance, "flags %d, %g", flags, Distance(y, node->values));
  reference.Backward(node, Doubles(dy));
  for (std::size_t i = wanted; i < units.size(); ++i) units[i].Check(tolerance);
  if (spec.strided) {
    shortcut.Check(tolerance, "shortcut");
    shortcut_norm.Check(tolerance, "shortcut's norm");
  }
  const double distance = wants_x ? Distance(dx, x_node->gradients) : 0;
  CHECK(distance <= tolerance, "flags %d, %g of dx", flags, distance);
}

template <class T>
void TestStem(ThreadPool &pool, Index images, Index height, Index width, int frozen, double tolerance) {
  StemSpec spec{images, height, width, 16, 24, nullptr, {}, nullptr, {}};
  WeightCase weight1(spec.middle * 27, 0.3), weight2(spec.middle * spec.out * 9, 0.1);
  NormCase norm1(spec.middle, frozen & 1), norm2(spec.out, frozen & 2);
  spec.weight1 = weight1.values.data();
  spec.norm1 = norm1.Parameters();
  spec.weight2 = weight2.values.data();
  spec.norm2 = norm2.Parameters();
  const auto pixels = Rounded<T>(RandomValues<float>(spec.Images().Values()));
  const auto dy = RandomValues<T>(spec.Y().Values());
  std::vector<T> y(dy.size()), convolved1(spec.Middle().Values()), convolved2(dy.size());
  const KeptStem<T> kept{convolved1.data(), norm1.statistics.data(), convolved2.data(), norm2.statistics.data()};
  const StemGradients gradients{weight1.gradients.data(), norm1.Gradients(), weight2.gradients.data(),
                                norm2.Gradients()};
  StemForward(pool, spec, pixels.data(), y.data(), kept);
  StemBackward(pool, spec, pixels.data(), kept, dy.data(), gradients);

  Reference reference;
  const Node x = reference.Make(spec.Images());
  for (Index n = 0; n < images; ++n)
    for (Index c = 0; c < 3; ++c)
      for (Index h = 0; h < height; ++h)
        for (Index w = 0; w < width; ++w) x->At(n, h, w, c) = pixels[((n * 3 + c) * height + h) * width + w];
  const Node first = reference.Convolve(x, weight1.Use<T>(reference), spec.middle, 3, 2, 0, false);
  const Node between = reference.Kept<T>(reference.Relu(norm1.Apply(reference, reference.Kept<T>(first))));
  const Node second = reference.Convolve(between, weight2.Use<T>(reference), spec.out, 3, 1, 0, false);
  const Node node = reference.Relu(norm2.Apply(reference, reference.Kept<T>(second)));
  CHECK(Distance(y, node->values) <= tolerance, "%g", Distance(y, node->values));
  reference.Backward(node, Doubles(dy));
  weight1.Check(tolerance, "weight 1");
  norm1.Check(tolerance, "norm 1");
  weight2.Check(tolerance, "weight 2");
  norm2.Check(tolerance, "norm 2");
}

template <class T>
void TestTail(ThreadPool &pool, const Shape &shape, Index width, Index out, bool frozen, double tolerance) {
  UnitCase<T> first(shape, shape.channels, width, frozen), second(shape, width, out, false);
  const TailSpec spec{shape, {first.Parameters(), second.Parameters()}};
  const KeptTail<T> kept{{first.Kept(), second.Kept()}};
  const auto x = RandomValues<T>(shape.Values());
  const auto dfeatures = RandomValues<float>(shape.images * out);
  std::vector<float> features(dfeatures.size());
  std::vector<T> dx(x.size());
  TailForward(pool, spec, x.data(), features.data(), kept);
  TailBackward(pool, spec, x.data(), kept, dfeatures.data(), {dx.data(), {first.Gradients(), second.Gradients()}});

  Reference reference;
  const Node x_node = reference.Input(shape, Doubles(x));
  const Node between = reference.Relu(first.Apply(reference, x_node));
  const Node node = reference.Average(reference.Relu(second.Apply(reference, between)));
  CHECK(Distance(features, node->values) <= tolerance, "%g", Distance(features, node->values));
  reference.Backward(node, Doubles(dfeatures));
  first.Check(tolerance);
  second.Check(tolerance);
  CHECK(Distance(dx, x_node->gradients) <= tolerance, "%g", Distance(dx, x_node->gradients));
}

template <class T>
void TestType(ThreadPool &pool, double tolerance) {
  for (int flags = 0; flags < 16; ++flags) {
    const std::vector<Index> widths = flags & 2 ? std::vector<Index>{24, 40} : std::vector<Index>{24, 24, 24};
    const Shape shape{Between(1, 3), Between(3, 12), Between(3, 12), flags & 2 ? 16 : 24};
    TestBlock<T>(pool, shape, widths, flags, 0, true, tolerance);
    TestBlock<T>(pool, shape, widths, flags, 1, flags % 2, tolerance);
  }
  for (int frozen = 0; frozen < 4; ++frozen) {
    TestStem<T>(pool, Between(1, 2), Between(9, 20), Between(9, 20), frozen, tolerance);
    TestTail<T>(pool, {Between(2, 3), Between(1, 4), Between(2, 4), 24}, 40, 56, frozen & 1, tolerance);
  }
}

}  // namespace
}  // namespace xception

int main() {
  using namespace xception;
  for (const int threads : {1, 2}) {
    ThreadPool pool(threads);
    TestType<float>(pool, 1e-5);
    if (HasBFloat16()) {
      TestType<BFloat16>(pool, 3e-2);
    }
  }
  return Failures() ? 1 : 0;
}
