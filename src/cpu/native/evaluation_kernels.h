// What evaluation alone does between the convolutions.
#pragma once

#include "pieces.h"
#include "profile.h"
#include "vector.h"

namespace xception {

// mean: float32 (images, channels), the average over the pixels of each image after ReLU.
template <class T>
void RectifiedMean(ThreadPool &pool, const Shape &shape, const T *x, float *mean) {
  constexpr Index kChannels = 256;  // of a piece
  const Timed timed("ReLU and average", 0, shape.Values() * Index(sizeof(T)));
  const Index parts = (shape.channels + kChannels - 1) / kChannels, pixels = shape.height * shape.width;
  pool.ForEach(shape.images * parts, [&](Index piece) {
    const Index image = piece / parts, begin = piece % parts * kChannels;
    ForChannels(std::min(kChannels, shape.channels - begin), [&](Index i, auto vector) {
      using V = decltype(vector);
      const T *from = x + image * shape.Image() + begin + i;
      V sum = V::All(0);
      for (Index pixel = 0; pixel < pixels; ++pixel) {
        sum = sum + Max(V::All(0), V::Load(from + pixel * shape.channels));
      }
      (sum * V::All(1.0F / static_cast<float>(pixels))).Store(mean + image * shape.channels + begin + i);
    });
  });
}

}  // namespace xception
