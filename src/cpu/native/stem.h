// The stem in training, forward and backward: twice a 3x3 convolution without padding, batch norm and ReLU.
#pragma once

#include "batch_norm.h"

namespace xception {

struct StemSpec {
  Index images, height, width;  // of the images, which have 3 channels
  Index middle, out;            // channels after the first convolution, of stride 2, and after the second, of stride 1
  const float *weight1;         // (middle, 3, 3, 3)
  NormParameters norm1;         // (middle)
  const float *weight2;         // (out, middle, 3, 3)
  NormParameters norm2;         // (out)

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

// pixels: float32 (images, 3, height, width); y: of spec.Y(), after the second ReLU.
template <typename T>
void StemForward(ThreadPool &pool, const StemSpec &spec, const float *pixels, T *y, const KeptStem<T> &kept);

// dy: of spec.Y(). The images get no gradient.
template <typename T>
void StemBackward(ThreadPool &pool, const StemSpec &spec, const float *pixels, const KeptStem<T> &kept, const T *dy,
                  const StemGradients &gradients);

}  // namespace xception
