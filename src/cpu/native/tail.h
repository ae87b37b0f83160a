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

// x: of spec.x; features: float32 (images, channels after the second unit).
template <typename T>
void TailForward(ThreadPool &pool, const TailSpec &spec, const T *x, float *features, const KeptTail<T> &kept);

// dfeatures: float32 (images, channels after the second unit).
template <typename T>
void TailBackward(ThreadPool &pool, const TailSpec &spec, const T *x, const KeptTail<T> &kept, const float *dfeatures,
                  const TailGradients<T> &gradients);

}  // namespace xception
