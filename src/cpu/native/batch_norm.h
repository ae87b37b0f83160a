// Batch norm in training: by the mean and the biased variance of each channel over all pixels of all images.
#pragma once

#include <cmath>
#include <vector>

#include "piece_sums.h"
#include "profile.h"

namespace xception {

// As src/Xception.py has them.
constexpr double kEpsilon = 1e-5;
constexpr float kMomentum = 0.9F;  // the share of the moving statistics that a step keeps
constexpr float kNewShare = 0.1F;  // what 1 - kMomentum is not to the last bit

// All (C). A frozen one normalises by the moving statistics, which then stay.
struct NormParameters {
  const float *gamma, *beta, *moving_mean, *moving_variance;
  bool frozen;
  float *moved_mean, *moved_variance;  // what forward makes of the moving ones, may be these; not for backward
};

// What a norm does to values of a channel.
struct Scaling {
  const float *scale, *shift;
  template <typename V>
  V operator()(V value, Index channel) const {
    return MultiplyAdd(value, V::Load(scale + channel), V::Load(shift + channel));
  }
};

struct Normalisation {
  const float *mean, *inverse;  // from the statistics; `inverse`: one over the standard deviation
  std::vector<float> scale, shift;
  Normalisation(const NormParameters &norm, const float *statistics, Index channels)
      : mean(statistics), inverse(statistics + channels), scale(channels), shift(channels) {
    for (Index i = 0; i < channels; ++i) {
      const double factor = static_cast<double>(norm.gamma[i]) * inverse[i];
      scale[i] = static_cast<float>(factor);
      shift[i] = static_cast<float>(norm.beta[i] - mean[i] * factor);
    }
  }
  Index Channels() const { return static_cast<Index>(scale.size()); }
  Scaling Values() const { return {scale.data(), shift.data()}; }
};

// Writes the statistics (2, C) by which z is to be normalised, its mean and 1 / sqrt(variance + kEpsilon), and moves
// the moving ones.
template <typename T>
void Measure(ThreadPool &pool, const NormParameters &norm, Index pixels, Index channels, const T *z,
             float *statistics) {
  std::vector<double> means(channels), squares(channels);
  if (norm.frozen) {
    for (Index i = 0; i < channels; ++i) {
      statistics[i] = norm.moving_mean[i];
      statistics[channels + i] = static_cast<float>(1 / std::sqrt(norm.moving_variance[i] + kEpsilon));
      norm.moved_mean[i] = norm.moving_mean[i];
      norm.moved_variance[i] = norm.moving_variance[i];
    }
    return;
  }
  const Timed timed("batch norm, statistics", 0, pixels * channels * Index(sizeof(T)));
  // Each piece sums differences from its own first pixel: the squares of the values themselves would cancel out.
  PieceSums sums(pixels, channels);
  const Index bytes = channels * Index(sizeof(T));
  const auto read = [&](Index pixel, Index count) { ReadInOrder(z + pixel * channels, count * bytes); };
  sums.Add(pool, bytes, read, [&](Index channel, Index begin, auto vector) {
    using V = decltype(vector);
    return [from = z + channel, origin = V::Load(z + begin * channels + channel), channels](Index pixel, V *first,
                                                                                          V *second) {
      const V value = V::Load(from + pixel * channels) - origin;
      *first = *first + value;
      *second = MultiplyAdd(value, value, *second);
    };
  });
  std::vector<float> origin(channels);
  const auto for_pieces = [&](const auto &work) {
    for (Index piece = 0; piece < sums.pieces; ++piece) {
      const T *from = z + sums.Begin(piece) * channels;
      ForChannels(channels, [&](Index channel, auto vector) {
        decltype(vector)::Load(from + channel).Store(&origin[channel]);
      });
      work(static_cast<double>(sums.Count(piece)), sums.First(piece), sums.Second(piece));
    }
  };
  for_pieces([&](double count, const float *first, const float *) {
    for (Index i = 0; i < channels; ++i) {
      means[i] += count * origin[i] + first[i];
    }
  });
  for (double &mean : means) {
    mean /= static_cast<double>(pixels);
  }
  for_pieces([&](double count, const float *first, const float *second) {
    for (Index i = 0; i < channels; ++i) {
      const double mean = first[i] / count, difference = origin[i] + mean - means[i];
      squares[i] += second[i] - mean * first[i] + count * difference * difference;
    }
  });
  const double count = static_cast<double>(pixels), unbiased = count / std::max(count - 1, 1.0);
  for (Index i = 0; i < channels; ++i) {
    const double variance = squares[i] > 0 ? squares[i] / count : squares[i] * 0;  // rounding may make it less; or NaN
    statistics[i] = static_cast<float>(means[i]);
    statistics[channels + i] = static_cast<float>(1 / std::sqrt(variance + kEpsilon));
    norm.moved_mean[i] = norm.moving_mean[i] * kMomentum + static_cast<float>(means[i]) * kNewShare;
    norm.moved_variance[i] =
        norm.moving_variance[i] * kMomentum + static_cast<float>(variance * unbiased) * kNewShare;
  }
}

}  // namespace xception
