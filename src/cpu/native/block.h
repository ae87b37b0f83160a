// A residual block in training, forward and backward.
#pragma once

#include <cstdint>
#include <vector>

#include "max_pooling_training.h"
#include "separable.h"

namespace xception {

// A strided block has a shortcut, a 1x1 convolution of every second pixel with a batch norm; others add x itself.
struct ShortcutParameters {
  const float *weight;  // (out, in, 1, 1)
  NormParameters norm;  // (out)
};

struct BlockSpec {
  Shape x;
  bool starts_with_relu;
  bool strided;    // ends with max pooling, which halves height and width, rounded up, and has a shortcut
  bool symmetric;  // the padding of the pooling; else "same"
  std::vector<UnitParameters> units;
  ShortcutParameters shortcut;  // read if strided alone

  Index OutChannels() const { return units.back().out; }
  Before FirstBefore() const { return starts_with_relu ? Before::kRelu : Before::kNothing; }
  Pooling Pool() const { return {{x.images, x.height, x.width, OutChannels()}, symmetric}; }
  Shape Y() const {
    return strided ? Shape{x.images, (x.height + 1) / 2, (x.width + 1) / 2, OutChannels()}
                   : Shape{x.images, x.height, x.width, OutChannels()};
  }
};

// What forward writes for backward to read, if strided; the shapes are those of y.
template <typename T>
struct KeptShortcut {
  T *convolved;          // what the 1x1 convolution gave, before the norm
  float *statistics;     // (2, out): the mean that the norm took, and 1 / sqrt(variance + epsilon)
  std::uint8_t *places;  // of the maxima in the windows of the pooling, 0 to 8
  T *maxima;             // the values there, before the last unit's norm
};

template <typename T>
struct KeptBlock {
  std::vector<KeptUnit<T>> units;  // of x's height and width
  KeptShortcut<T> shortcut;
};

// Null: not wanted.
template <typename T>
struct BlockGradients {
  T *x;
  std::vector<UnitGradients> units;
  float *shortcut;  // of its weight
  NormGradients shortcut_norm;
};

// x: of spec.x; y: of spec.Y(), with the residual sum in it.
template <typename T>
void BlockForward(ThreadPool &pool, const BlockSpec &spec, const T *x, T *y, const KeptBlock<T> &kept) {
  const TimedPart part(spec.strided ? "strided block, forward" : "block, forward", spec.x);
  const Shape shape = spec.Y();
  const Index channels = shape.channels;
  UnitsForward(pool, spec.x, spec.FirstBefore(), spec.units, x, kept.units);
  const T *z = kept.units.back().pointwise;
  const Normalisation norm(spec.units.back().norm, kept.units.back().statistics, channels);
  if (!spec.strided) {
    const Timed timed("batch norm and residual sum", 0, 3 * shape.Values() * Index(sizeof(T)));
    ForPixels(pool, shape.Pixels(), [=, scaled = norm.Values()](Index pixel) {
      ForChannels(channels, [=](Index channel, auto vector) {
        using V = decltype(vector);
        const Index i = pixel * channels + channel;
        (V::Load(x + i) + scaled(V::Load(z + i), channel)).Store(y + i);
      });
    });
    return;
  }
  const KeptShortcut<T> &shortcut = kept.shortcut;
  const Shape second = EverySecond(spec.x);
  T *gathered = Workspace<T>(Space::kThird, second.Values());
  GatherEvery2nd(pool, spec.x, x, gathered);
  Pointwise<T>(second.channels, channels).Forward(pool, second, gathered, spec.shortcut.weight, shortcut.convolved);
  Measure(pool, spec.shortcut.norm, shape.Pixels(), channels, shortcut.convolved, shortcut.statistics);
  NormMaxPoolForward(pool, spec.Pool(), norm, z,
                     Normalisation(spec.shortcut.norm, shortcut.statistics, channels), shortcut.convolved, y,
                     KeptMaxima<T>{shortcut.places, shortcut.maxima});
}

// The gradient of x by the shortcut, for the pixels of even rows and columns; null if x's is not wanted.
template <typename T>
const T *ShortcutBackward(ThreadPool &pool, const BlockSpec &spec, const T *x, const KeptShortcut<T> &kept, const T *dy,
                          const BlockGradients<T> &gradients) {
  const Shape shape = spec.Y(), second = EverySecond(spec.x);
  const Normalisation norm(spec.shortcut.norm, kept.statistics, shape.channels);
  const Pointwise<T> pointwise(second.channels, shape.channels);
  const GradientsIn<T> given{dy, shape.channels};
  const NormSums sums = SumsOf(pool, shape.Pixels(), norm, kept.convolved, given);
  const NormBackward backward(spec.shortcut.norm, norm, sums, shape.Pixels(), gradients.shortcut_norm);
  T *dz = Workspace<T>(Space::kBelow, shape.Values());
  backward.Apply(pool, shape.Pixels(), kept.convolved, given, dz);
  T *gathered = Workspace<T>(Space::kThird, second.Values());
  if (gradients.shortcut) {
    GatherEvery2nd(pool, spec.x, x, gathered);
    pointwise.BackwardWeight(pool, second, gathered, dz, gradients.shortcut);
  }
  if (!gradients.x) {
    return nullptr;
  }
  pointwise.BackwardData(pool, second, dz, spec.shortcut.weight, gathered);
  return gathered;
}

// dy: of spec.Y(). Nothing that is given may overlap.
template <typename T>
void BlockBackward(ThreadPool &pool, const BlockSpec &spec, const T *x, const KeptBlock<T> &kept, const T *dy,
                   const BlockGradients<T> &gradients) {
  const TimedPart part(spec.strided ? "strided block, backward" : "block, backward", spec.x);
  const UnitParameters &last = spec.units.back();
  const Normalisation norm(last.norm, kept.units.back().statistics, last.out);
  const T *z = kept.units.back().pointwise;
  const GradientsIn<T> given{dy, last.out};
  T *dz = Workspace<T>(Space::kGradient, LargestValues(spec.x, spec.units));
  OtherGradients<T> others;
  // Of a pooling the gradients of the maxima are all there are.
  const T *values = spec.strided ? kept.shortcut.maxima : z;
  const NormSums sums = SumsOf(pool, spec.Y().Pixels(), norm, values, given);
  const NormBackward backward(last.norm, norm, sums, spec.x.Pixels(), gradients.units.back().norm);
  if (spec.strided) {
    NormMaxPoolBackward(pool, spec.Pool(), backward, z, kept.shortcut.places, dy, dz);
    others.even = ShortcutBackward(pool, spec, x, kept.shortcut, dy, gradients);
  } else {
    backward.Apply(pool, spec.x.Pixels(), z, given, dz);
    others.whole = dy;
  }
  UnitsBackward(pool, spec.x, spec.FirstBefore(), spec.units, x, kept.units, dz, others, gradients.x, gradients.units);
}

}  // namespace xception
