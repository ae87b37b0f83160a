// The stem in training, forward and backward: twice a 3x3 convolution without padding, batch norm and ReLU.
#pragma once

#include "batch_norm_backward.h"
#include "convolution.h"
#include "workspace.h"

namespace xception {

struct StemSpec {
  Index images, height, width;  // of the images, which have 3 channels
  Index middle, out;            // channels after the first convolution, of stride 2, and after the second, of stride 1
  const float *weight1;         // (middle, 3, 3, 3)
  NormParameters norm1;         // (middle)
  const float *weight2;         // (out, middle, 3, 3)
  NormParameters norm2;         // (out)

  Shape Images() const { return {images, height, width, 3}; }
  Shape Middle() const { return {images, (height - 1) / 2, (width - 1) / 2, middle}; }
  Shape Y() const { return {images, (height - 1) / 2 - 2, (width - 1) / 2 - 2, out}; }
};

// What forward writes for backward to read.
template <typename T>
struct KeptStem {
  T *convolved1;       // of spec.Middle(): what the first convolution gave, before the norm
  float *statistics1;  // (2, middle): the mean that the norm took, and 1 / sqrt(variance + epsilon)
  T *convolved2;       // of spec.Y()
  float *statistics2;  // (2, out)
};

// In the parameters' layout; null: not wanted.
struct StemGradients {
  float *weight1;
  NormGradients norm1;
  float *weight2;
  NormGradients norm2;
};

// (images, 3, height, width) as (images, height, width, 3) of the other type, in Space::kFourth.
template <typename T>
const T *ChannelsLastPixels(ThreadPool &pool, const StemSpec &spec, const float *pixels) {
  const Shape shape = spec.Images();
  const Timed timed("images, channels last", 0, shape.Values() * Index(sizeof(float) + sizeof(T)));
  T *to = Workspace<T>(Space::kFourth, shape.Values());
  const Index plane = shape.height * shape.width;
  pool.ForEach(shape.images * shape.height, [&](Index row) {
    const float *from = pixels + row / shape.height * shape.Image() + row % shape.height * shape.width;
    std::vector<float> values((shape.Row() + 7) / 8 * 8);
    for (Index i = 0; i < shape.width; ++i) {
      for (Index channel = 0; channel < 3; ++channel) {
        values[i * 3 + channel] = from[channel * plane + i];
      }
    }
    std::vector<T> converted(values.size());
    for (std::size_t i = 0; i < values.size(); i += 8) {
      Vector<8>::Load(&values[i]).Store(&converted[i]);
    }
    std::copy_n(converted.begin(), shape.Row(), to + row * shape.Row());
  });
  return to;
}

// y = ReLU of the normalised z.
template <typename T>
void NormRelu(ThreadPool &pool, Index pixels, const Normalisation &norm, const T *z, T *y) {
  const Index channels = norm.Channels();
  const Timed timed("batch norm and ReLU", 0, 2 * pixels * channels * Index(sizeof(T)));
  ForPixels(pool, pixels, [=, scaled = norm.Values()](Index pixel) {
    ForChannels(channels, [=](Index channel, auto vector) {
      using V = decltype(vector);
      const Index i = pixel * channels + channel;
      Max(V::All(0), scaled(V::Load(z + i), channel)).Store(y + i);
    });
  });
}

// pixels: float32 (images, 3, height, width); y: of spec.Y(), after the second ReLU.
template <typename T>
void StemForward(ThreadPool &pool, const StemSpec &spec, const float *pixels, T *y, const KeptStem<T> &kept) {
  const TimedPart part("stem, forward", spec.Images());
  const Shape middle = spec.Middle(), last = spec.Y();
  Convolution3x3<T>(3, middle.channels, 2)
      .Forward(pool, spec.Images(), ChannelsLastPixels<T>(pool, spec, pixels), spec.weight1, kept.convolved1);
  Measure(pool, spec.norm1, middle.Pixels(), middle.channels, kept.convolved1, kept.statistics1);
  // Where y will be, unless y is smaller.
  T *between = last.Values() >= middle.Values() ? y : Workspace<T>(Space::kGradient, middle.Values());
  NormRelu(pool, middle.Pixels(), Normalisation(spec.norm1, kept.statistics1, middle.channels), kept.convolved1,
           between);
  Convolution3x3<T>(middle.channels, last.channels, 1).Forward(pool, middle, between, spec.weight2, kept.convolved2);
  Measure(pool, spec.norm2, last.Pixels(), last.channels, kept.convolved2, kept.statistics2);
  NormRelu(pool, last.Pixels(), Normalisation(spec.norm2, kept.statistics2, last.channels), kept.convolved2, y);
}

// dz: the gradient of z from that of ReLU(norm(z)), which may be in the same place.
template <typename T>
void NormReluBackward(ThreadPool &pool, Index pixels, const NormParameters &parameters, const Normalisation &norm,
                      const T *z, const T *dy, T *dz, const NormGradients &gradients) {
  const ThroughRelu<GradientsIn<T>> given{norm.Values(), {dy, norm.Channels()}};
  NormBackward(parameters, norm, SumsOf(pool, pixels, norm, z, given), pixels, gradients)
      .Apply(pool, pixels, z, given, dz);
}

// dy: of spec.Y(). The images get no gradient.
template <typename T>
void StemBackward(ThreadPool &pool, const StemSpec &spec, const float *pixels, const KeptStem<T> &kept, const T *dy,
                  const StemGradients &gradients) {
  const TimedPart part("stem, backward", spec.Images());
  const Shape middle = spec.Middle(), last = spec.Y();
  const Normalisation norm1(spec.norm1, kept.statistics1, middle.channels);
  const Normalisation norm2(spec.norm2, kept.statistics2, last.channels);
  const Convolution3x3<T> second(middle.channels, last.channels, 1);
  T *dz2 = Workspace<T>(Space::kGradient, last.Values());
  NormReluBackward(pool, last.Pixels(), spec.norm2, norm2, kept.convolved2, dy, dz2, gradients.norm2);
  T *between = Workspace<T>(Space::kBelow, middle.Values());
  if (gradients.weight2) {
    NormRelu(pool, middle.Pixels(), norm1, kept.convolved1, between);
    second.BackwardWeight(pool, middle, between, dz2, gradients.weight2);
  }
  if (!gradients.weight1 && !gradients.norm1.gamma && !gradients.norm1.beta) {
    return;
  }
  second.BackwardData(pool, middle, dz2, spec.weight2, between);
  NormReluBackward(pool, middle.Pixels(), spec.norm1, norm1, kept.convolved1, between, between, gradients.norm1);
  if (gradients.weight1) {
    Convolution3x3<T>(3, middle.channels, 2)
        .BackwardWeight(pool, spec.Images(), ChannelsLastPixels<T>(pool, spec, pixels), between, gradients.weight1);
  }
}

}  // namespace xception
