// What evaluation alone does between the convolutions.
#pragma once

#include "pieces.h"
#include "vector.h"

namespace xception {

// y: every second pixel of every second row of x, after ReLU if `rectify`.
template <class T>
void GatherEverySecond(ThreadPool &pool, const Shape &x_shape, bool rectify, const T *x, T *y) {
  const Shape shape{x_shape.images, (x_shape.height + 1) / 2, (x_shape.width + 1) / 2, x_shape.channels};
  const auto pieces = CutIntoRows(shape.images, shape.height, shape.Row() * Index(sizeof(T)));
  pool.ForEach(Index(pieces.size()), [&](Index piece) {
    const Rows rows = pieces[piece];
    for (Index row = rows.begin; row < rows.end; ++row) {
      const T *from = x + rows.image * x_shape.Image() + row * 2 * x_shape.Row();
      T *to = y + rows.image * shape.Image() + row * shape.Row();
      for (Index column = 0; column < shape.width; ++column, from += 2 * shape.channels, to += shape.channels) {
        ForChannels(shape.channels, [&](Index channel, auto vector) {
          using V = decltype(vector);
          const V value = V::Load(from + channel);
          (rectify ? Max(V::All(0), value) : value).Store(to + channel);
        });
      }
    }
  });
}

// mean: float32 (images, channels), the average over the pixels of each image after ReLU.
template <class T>
void RectifiedMean(ThreadPool &pool, const Shape &shape, const T *x, float *mean) {
  constexpr Index kChannels = 256;  // of a piece
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
