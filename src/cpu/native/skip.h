// What a convolution of stride 2 with windows of one pixel reads: every second pixel, which leaves it a dense one.
#pragma once

#include <cstring>

#include "pieces.h"

namespace xception {

// The pixels of even rows and columns alone: height and width halved and rounded up.
inline Shape EverySecond(const Shape &x) { return {x.images, (x.height + 1) / 2, (x.width + 1) / 2, x.channels}; }

// y: of EverySecond(shape).
template <typename T>
void GatherEvery2nd(ThreadPool &pool, const Shape &shape, const T *x, T *y) {
  const Shape to = EverySecond(shape);
  pool.ForEach(to.images * to.height, [&](Index row) {
    const T *from = x + row / to.height * shape.Image() + row % to.height * 2 * shape.Row();
    for (Index column = 0; column < to.width; ++column) {
      std::memcpy(y + row * to.Row() + column * to.channels, from + column * 2 * shape.channels,
                  shape.channels * sizeof(T));
    }
  });
}

}  // namespace xception
