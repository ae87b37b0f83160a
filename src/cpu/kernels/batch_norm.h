// Batch norm in training: by the mean and the biased variance of each channel over all images.
#pragma once

#include <cmath>

#include "tensor.h"

// As src/Xception.py has them; src/cpu/cells.py refuses others.
constexpr float kEpsilon = 1e-5F;
constexpr float kMomentum = 0.9F;
constexpr float kNewShare = 0.1F;  // what 1 - kMomentum is not to the last bit

// What a channel is normalised by.
struct BatchNorm {
  float mean, variance, gamma, beta, inverse;  // `inverse`: one over the standard deviation
  BatchNorm(float mean, float variance, float gamma, float beta)
      : mean(mean), variance(variance), gamma(gamma), beta(beta), inverse(1 / std::sqrt(variance + kEpsilon)) {}
  float Normalised(float value) const { return (value - mean) * inverse; }
  float operator()(float value) const { return Normalised(value) * gamma + beta; }
};

// The sum of value(i) over the places of a channel in all images; single precision within a plane alone.
template <typename Value>
double SumOverChannel(const Shape &shape, Index channel, const Value &value) {
  double sum = 0;
  for (Index image = 0; image < shape.images; ++image) {
    const Index begin = shape.Offset(image, channel), end = begin + shape.Plane();
    float plane = 0;
#pragma omp simd reduction(+ : plane)
    for (Index i = begin; i < end; ++i) {
      plane += value(i);
    }
    sum += plane;
  }
  return sum;
}

inline BatchNorm Measure(const float *x, float gamma, float beta, const Shape &shape, Index channel) {
  const double count = static_cast<double>(shape.images * shape.Plane());
  const float mean = static_cast<float>(SumOverChannel(shape, channel, [x](Index i) { return x[i]; }) / count);
  const double squares = SumOverChannel(shape, channel, [x, mean](Index i) { return (x[i] - mean) * (x[i] - mean); });
  return {mean, static_cast<float>(squares / count), gamma, beta};
}

// Where a batch norm keeps, for each channel, what it found in a batch, and the moving statistics before and after it.
struct Statistics {
  float *mean, *variance;
  const float *moving_mean, *moving_variance;
  float *moved_mean, *moved_variance;

  // Of a new batch kNewShare moves in, its variance unbiased.
  void Keep(const BatchNorm &norm, const Shape &shape, Index channel) const {
    const float count = static_cast<float>(shape.images * shape.Plane());
    mean[channel] = norm.mean;
    variance[channel] = norm.variance;
    moved_mean[channel] = moving_mean[channel] * kMomentum + norm.mean * kNewShare;
    moved_variance[channel] =
        moving_variance[channel] * kMomentum + norm.variance * (count / std::max(count - 1, 1.0F)) * kNewShare;
  }
};

// The gradient of a channel; `dx` may be `dy`. The mean and the variance are functions of x, too.
inline void BatchNormGradient(const float *x, const float *dy, float *dx, float *dgamma, float *dbeta,
                              const BatchNorm &norm, const Shape &shape, Index channel) {
  const double count = static_cast<double>(shape.images * shape.Plane());
  const double sum = SumOverChannel(shape, channel, [dy](Index i) { return dy[i]; });
  const double product =
      SumOverChannel(shape, channel, [x, dy, &norm](Index i) { return dy[i] * norm.Normalised(x[i]); });
  dgamma[channel] = static_cast<float>(product);
  dbeta[channel] = static_cast<float>(sum);
  const float scale = norm.gamma * norm.inverse;
  const float constant = static_cast<float>(sum / count), linear = static_cast<float>(product / count);
  for (Index image = 0; image < shape.images; ++image) {
    const Index begin = shape.Offset(image, channel), end = begin + shape.Plane();
#pragma omp simd
    for (Index i = begin; i < end; ++i) {
      dx[i] = scale * (dy[i] - constant - norm.Normalised(x[i]) * linear);
    }
  }
}
