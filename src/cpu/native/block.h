// A residual block in training, forward and backward.
#pragma once

#include <cstdint>
#include <vector>

#include "separable.h"

namespace xception {

// A strided block has a shortcut, a 1x1 convolution of every second pixel with a batch norm; others add x itself.
struct ShortcutParameters {
  const float *weight;  // (out, in, 1, 1)
  NormParameters norm;  // (out)
};

struct BlockSpec {
  Shape x;
  bool starts_with_relu;
  bool strided;    // ends with max pooling, which halves height and width, rounded up, and has a shortcut
  bool symmetric;  // the padding of the pooling; else "same"
  std::vector<UnitParameters> units;
  ShortcutParameters shortcut;  // read if strided alone

  Index OutChannels() const { return units.back().out; }
  Shape Y() const {
    return strided ? Shape{x.images, (x.height + 1) / 2, (x.width + 1) / 2, OutChannels()}
                   : Shape{x.images, x.height, x.width, OutChannels()};
  }
};

// What forward writes for backward to read, if strided; the shapes are those of y.
template <typename T>
struct KeptShortcut {
  T *convolved;          // what the 1x1 convolution gave, before the norm
  float *statistics;     // (2, out): the mean that the norm took, and 1 / sqrt(variance + epsilon)
  std::uint8_t *places;  // of the maxima in the windows of the pooling, 0 to 8
  T *maxima;             // the values there, before the last unit's norm
};

template <typename T>
struct KeptBlock {
  std::vector<KeptUnit<T>> units;  // of x's height and width
  KeptShortcut<T> shortcut;
};

// Null: not wanted.
template <typename T>
struct BlockGradients {
  T *x;
  std::vector<UnitGradients> units;
  float *shortcut;  // of its weight
  NormGradients shortcut_norm;
};

// x: of spec.x; y: of spec.Y(), with the residual sum in it.
template <typename T>
void BlockForward(ThreadPool &pool, const BlockSpec &spec, const T *x, T *y, const KeptBlock<T> &kept);

// dy: of spec.Y(). Nothing that is given may overlap.
template <typename T>
void BlockBackward(ThreadPool &pool, const BlockSpec &spec, const T *x, const KeptBlock<T> &kept, const T *dy,
                   const BlockGradients<T> &gradients);

}  // namespace xception
