// A unit of the network in training: what comes before, the depthwise and the 1x1 convolution, and the batch norm after.
#pragma once

#include "batch_norm.h"
#include "depthwise.h"

namespace xception {

struct UnitParameters {
  Index in, out;           // channels
  const float *depthwise;  // (in, 1, 3, 3)
  const float *pointwise;  // (out, in, 1, 1)
  NormParameters norm;     // (out)
};

// What forward writes for backward to read; images, height and width are those of the unit's input.
template <typename T>
struct KeptUnit {
  T *depthwise;       // (images, height, width, in): what the depthwise convolution gave
  T *pointwise;       // (images, height, width, out): what the 1x1 convolution gave, before the norm
  float *statistics;  // (2, out): the mean that the norm took, and 1 / sqrt(variance + epsilon)
};

// In the parameters' layout; null: not wanted.
struct UnitGradients {
  float *depthwise, *pointwise;
  NormGradients norm;
};

}  // namespace xception
