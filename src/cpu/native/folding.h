// Batch norm in evaluation as a part of the convolution before it.
#pragma once

#include <cmath>
#include <vector>

#include "batch_norm.h"

namespace xception {

// Walks through parameters in the order of the network's list.
class Parameters {
 public:
  explicit Parameters(const float *const *next) : next_(next) {}
  const float *Next() { return *next_++; }

 private:
  const float *const *next_;
};

struct Folded {
  std::vector<float> weight, bias;
};

// The weight (out, each) and what its batch norm makes of it; takes the norm's four parameters.
inline Folded Fold(const float *weight, Index out, Index each, Parameters *parameters) {
  const float *mean = parameters->Next(), *variance = parameters->Next();
  const float *gamma = parameters->Next(), *beta = parameters->Next();
  Folded folded{std::vector<float>(static_cast<std::size_t>(out * each)), std::vector<float>(out)};
  for (Index i = 0; i < out; ++i) {
    const double scale = gamma[i] / std::sqrt(double{variance[i]} + kEpsilon);
    folded.bias[i] = static_cast<float>(beta[i] - mean[i] * scale);
    for (Index j = 0; j < each; ++j) {
      folded.weight[i * each + j] = static_cast<float>(weight[i * each + j] * scale);
    }
  }
  return folded;
}

}  // namespace xception
