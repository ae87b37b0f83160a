// The gradient of batch norm, and of a ReLU after it.
#pragma once

#include <utility>
#include <vector>

#include "batch_norm.h"

namespace xception {

// (C) each; null: not wanted. A frozen norm has them, too.
struct NormGradients {
  float *gamma, *beta;
};

// Of each channel the sum of a batch norm's gradient dy, and of dy * (z - mean).
struct NormSums {
  const double *gradients, *products;
  std::vector<double> values;  // with both at its end
  NormSums(std::vector<double> all, Index channels)
      : gradients(all.data() + all.size() - 2 * channels), products(gradients + channels), values(std::move(all)) {}
  NormSums(NormSums &&) = default;  // moves no values
};

// Gradients of a norm's result by pixel and channel, given the value z that was normalised: where it is a tensor ...
template <typename T>
struct GradientsIn {
  const T *dy;
  Index channels;
  template <typename V>
  V operator()(Index pixel, Index channel, V) const {
    return V::Load(dy + pixel * channels + channel);
  }
  void Read(Index pixel, Index count) const {
    ReadInOrder(dy + pixel * channels, count * channels * Index(sizeof(T)));
  }
};

// ... and where a ReLU comes after the norm, of whose result they are.
template <typename Gradients>
struct ThroughRelu {
  Scaling norm;
  Gradients gradients;
  template <typename V>
  V operator()(Index pixel, Index channel, V z) const {
    return Select(norm(z, channel) > V::All(0), gradients(pixel, channel, z), V::All(0));
  }
  void Read(Index pixel, Index count) const { gradients.Read(pixel, count); }
};

template <typename T, typename Gradients>
NormSums SumsOf(ThreadPool &pool, Index pixels, const Normalisation &norm, const T *z, const Gradients &gradients) {
  const Index channels = norm.Channels();
  PieceSums sums(pixels, channels);
  const Index bytes = channels * Index(sizeof(T));
  const Timed timed("batch norm, sums of its gradient", 0, 2 * pixels * bytes);
  const auto read = [&](Index pixel, Index count) {
    ReadInOrder(z + pixel * channels, count * bytes);
    gradients.Read(pixel, count);
  };
  sums.Add(pool, bytes * 2, read, [&](Index channel, Index, auto vector) {
    using V = decltype(vector);
    return [&gradients, from = z + channel, mean = V::Load(norm.mean + channel), channel, channels](
               Index pixel, V *first, V *second) {
      const V value = V::Load(from + pixel * channels), gradient = gradients(pixel, channel, value);
      *first = *first + gradient;
      *second = MultiplyAdd(gradient, value - mean, *second);
    };
  });
  return {Total(pool, sums.values, 2 * channels), channels};
}

// The gradient of z: dy * scale + (z - mean) * slope + constant, as the mean and the variance are functions of z, too;
// for a frozen norm dy * scale.
struct NormGradient {
  bool frozen;
  const float *mean, *scale, *slope, *constant;
  template <typename V>
  V operator()(V dy, V z, Index channel) const {
    const V product = dy * V::Load(scale + channel);
    if (frozen) {
      return product;
    }
    const V distance = z - V::Load(mean + channel);
    return product + MultiplyAdd(distance, V::Load(slope + channel), V::Load(constant + channel));
  }
};

struct NormBackward {
  bool frozen;
  const float *mean;
  std::vector<float> scale, slope, constant;

  // `pixels`: how many there were; also writes the gradients of the parameters.
  NormBackward(const NormParameters &norm, const Normalisation &forward, const NormSums &sums, Index pixels,
               const NormGradients &gradients)
      : frozen(norm.frozen),
        mean(forward.mean),
        scale(forward.scale),
        slope(scale.size()),
        constant(scale.size()) {
    const double count = static_cast<double>(pixels);
    for (std::size_t i = 0; i < scale.size(); ++i) {
      const double factor = static_cast<double>(norm.gamma[i]) * forward.inverse[i];
      const double dgamma = sums.products[i] * forward.inverse[i];
      slope[i] = static_cast<float>(-factor * forward.inverse[i] * dgamma / count);
      constant[i] = static_cast<float>(-factor * sums.gradients[i] / count);
      if (gradients.gamma) {
        gradients.gamma[i] = static_cast<float>(dgamma);
      }
      if (gradients.beta) {
        gradients.beta[i] = static_cast<float>(sums.gradients[i]);
      }
    }
  }

  NormGradient Gradient() const { return {frozen, mean, scale.data(), slope.data(), constant.data()}; }

  // dz may be the tensor that has the gradients.
  template <typename T, typename Gradients>
  void Apply(ThreadPool &pool, Index pixels, const T *z, const Gradients &gradients, T *dz) const {
    const Index channels = static_cast<Index>(scale.size());
    const Timed timed("batch norm, gradient", 0, 3 * pixels * channels * Index(sizeof(T)));
    ForPixels(pool, pixels, [=, gradient = Gradient()](Index pixel) {
      const Index begin = pixel * channels;
      ForChannels(channels, [=](Index channel, auto vector) {
        using V = decltype(vector);
        const V value = V::Load(z + begin + channel);
        gradient(gradients(pixel, channel, value), value, channel).Store(dz + begin + channel);
      });
    });
  }
};

}  // namespace xception
