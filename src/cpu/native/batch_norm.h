// Batch norm in training: by the mean and the biased variance of each channel over all pixels of all images.
#pragma once

#include "pieces.h"
#include "vector.h"

namespace xception {

// As src/Xception.py has them.
constexpr double kEpsilon = 1e-5;
constexpr float kMomentum = 0.9F;  // the share of the moving statistics that a step keeps
constexpr float kNewShare = 0.1F;  // what 1 - kMomentum is not to the last bit

// All (C). A frozen one normalises by the moving statistics, which then stay.
struct NormParameters {
  const float *gamma, *beta, *moving_mean, *moving_variance;
  bool frozen;
  float *moved_mean, *moved_variance;  // what forward makes of the moving ones, and may be these; backward reads neither
};

// (C) each; null: not wanted. A frozen norm has them, too.
struct NormGradients {
  float *gamma, *beta;
};

}  // namespace xception
