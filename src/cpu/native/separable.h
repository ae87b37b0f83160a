// A unit of the network in training: what comes before, the depthwise and the 1x1 convolution, and the norm after.
#pragma once

#include "depthwise_backward.h"
#include "pointwise.h"
#include "workspace.h"

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

// Units, each but the first after the norm of the one before and a ReLU. Each container has one element a unit.
template <typename T, typename Units, typename Kept>
void UnitsForward(ThreadPool &pool, Shape shape, Before first, const Units &units, const T *x, const Kept &kept) {
  for (std::size_t i = 0; i < units.size(); ++i) {
    const UnitParameters &unit = units[i];
    shape.channels = unit.in;
    if (i == 0) {
      DepthwiseForward<T>(pool, shape, first, nullptr, nullptr, x, unit.depthwise, kept[0].depthwise);
    } else {
      const Normalisation norm(units[i - 1].norm, kept[i - 1].statistics, unit.in);
      DepthwiseForward<T>(pool, shape, Before::kNormRelu, norm.scale.data(), norm.shift.data(), kept[i - 1].pointwise,
                          unit.depthwise, kept[i].depthwise);
    }
    Pointwise<T>(unit.in, unit.out).Forward(pool, shape, kept[i].depthwise, unit.pointwise, kept[i].pointwise);
    Measure(pool, unit.norm, shape.Pixels(), unit.out, kept[i].pointwise, kept[i].statistics);
  }
}

// Number of values of the largest tensor inside.
template <typename Units>
Index LargestValues(const Shape &shape, const Units &units) {
  Index channels = 0;
  for (const UnitParameters &unit : units) {
    channels = std::max({channels, unit.in, unit.out});
  }
  return shape.Pixels() * channels;
}

inline bool AnyWanted(const UnitGradients &gradients) {
  return gradients.depthwise || gradients.pointwise || gradients.norm.gamma || gradients.norm.beta;
}

// dz: the gradient of the last unit's 1x1 convolution, in Space::kGradient with place for LargestValues, which is
// overwritten. `others`: what comes to x on other ways. dx null: not wanted.
template <typename T, typename Units, typename Kept, typename Gradients>
void UnitsBackward(ThreadPool &pool, Shape shape, Before first, const Units &units, const T *x, const Kept &kept,
                   T *dz, const OtherGradients<T> &others, T *dx, const Gradients &gradients) {
  std::size_t last = 0;  // the unit down to which anything is wanted
  while (!dx && last + 1 < units.size() && !AnyWanted(gradients[last])) {
    ++last;
  }
  for (std::size_t i = units.size(); i-- > last;) {
    const UnitParameters &unit = units[i];
    const Pointwise<T> pointwise(unit.in, unit.out);
    shape.channels = unit.in;
    if (gradients[i].pointwise) {
      pointwise.BackwardWeight(pool, shape, kept[i].depthwise, dz, gradients[i].pointwise);
    }
    if (i == last && !gradients[i].depthwise && !(i == 0 && dx)) {
      return;
    }
    T *below = Workspace<T>(Space::kBelow, shape.Values());
    pointwise.BackwardData(pool, shape, dz, unit.pointwise, below);
    if (i == 0) {
      const DepthwiseInputs<T> inputs{shape, first, nullptr, x, unit.depthwise};
      DepthwiseBackward(pool, inputs, others, below, dx ? dx : dz, gradients[0].depthwise);
      return;
    }
    const T *z = kept[i - 1].pointwise;
    const Normalisation norm(units[i - 1].norm, kept[i - 1].statistics, unit.in);
    const DepthwiseInputs<T> inputs{shape, Before::kNormRelu, &norm, z, unit.depthwise};
    const NormSums sums = DepthwiseBackward(pool, inputs, {}, below, dz, gradients[i].depthwise);
    NormBackward(units[i - 1].norm, norm, sums, shape.Pixels(), gradients[i - 1].norm)
        .Apply(pool, shape.Pixels(), z, GradientsIn<T>{dz, unit.in}, dz);
  }
}

}  // namespace xception
