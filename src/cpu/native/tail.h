// The tail in training, forward and backward: two units, ReLU, and the average over the pixels of each image.
#pragma once

#include <array>

#include "separable.h"

namespace xception {

struct TailSpec {
  Shape x;
  std::array<UnitParameters, 2> units;
};

// What forward writes for backward to read.
template <typename T>
struct KeptTail {
  std::array<KeptUnit<T>, 2> units;  // of x's height and width
};

// Null: not wanted.
template <typename T>
struct TailGradients {
  T *x;
  std::array<UnitGradients, 2> units;
};

// Gradients of the values of an image's pixels, of which the average is known.
struct GradientsOfAverage {
  const float *dy;  // (images, C)
  Index channels, pixels;  // of an image
  template <typename V>
  V operator()(Index pixel, Index channel, V) const {
    return V::Load(dy + pixel / pixels * channels + channel) * V::All(1 / static_cast<float>(pixels));
  }
  void Read(Index, Index) const {}  // few enough
};

// x: of spec.x; features: float32 (images, channels after the second unit).
template <typename T>
void TailForward(ThreadPool &pool, const TailSpec &spec, const T *x, float *features, const KeptTail<T> &kept) {
  const TimedPart part("tail, forward", spec.x);
  UnitsForward(pool, spec.x, Before::kNothing, spec.units, x, kept.units);
  const Index channels = spec.units[1].out, pixels = spec.x.height * spec.x.width;
  const Normalisation norm(spec.units[1].norm, kept.units[1].statistics, channels);
  const Timed timed("batch norm, ReLU and average", 0, spec.x.Pixels() * channels * Index(sizeof(T)));
  pool.ForEach(spec.x.images, [&, scaled = norm.Values()](Index image) {
    float *sums = features + image * channels;
    std::fill_n(sums, channels, 0.0F);
    const T *from = kept.units[1].pointwise + image * pixels * channels;
    for (Index pixel = 0; pixel < pixels; ++pixel, from += channels) {
      ForChannels(channels, [=](Index channel, auto vector) {
        using V = decltype(vector);
        const V value = Max(V::All(0), scaled(V::Load(from + channel), channel));
        (V::Load(sums + channel) + value).Store(sums + channel);
      });
    }
    ForChannels(channels, [=](Index channel, auto vector) {
      using V = decltype(vector);
      (V::Load(sums + channel) * V::All(1 / static_cast<float>(pixels))).Store(sums + channel);
    });
  });
}

// dfeatures: float32 (images, channels after the second unit).
template <typename T>
void TailBackward(ThreadPool &pool, const TailSpec &spec, const T *x, const KeptTail<T> &kept, const float *dfeatures,
                  const TailGradients<T> &gradients) {
  const TimedPart part("tail, backward", spec.x);
  const UnitParameters &last = spec.units[1];
  const Normalisation norm(last.norm, kept.units[1].statistics, last.out);
  const T *z = kept.units[1].pointwise;
  const ThroughRelu<GradientsOfAverage> given{norm.Values(), {dfeatures, last.out, spec.x.height * spec.x.width}};
  const NormSums sums = SumsOf(pool, spec.x.Pixels(), norm, z, given);
  T *dz = Workspace<T>(Space::kGradient, LargestValues(spec.x, spec.units));
  NormBackward(last.norm, norm, sums, spec.x.Pixels(), gradients.units[1].norm)
      .Apply(pool, spec.x.Pixels(), z, given, dz);
  UnitsBackward(pool, spec.x, Before::kNothing, spec.units, x, kept.units, dz, {}, gradients.x, gradients.units);
}

}  // namespace xception
