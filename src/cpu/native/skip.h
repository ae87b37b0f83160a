// What a convolution of stride 2 with windows of one pixel reads: every second pixel, which leaves it a dense one.
#pragma once

#include <cstring>

#include "pieces.h"
#include "profile.h"
#include "vector.h"

namespace xception {

// The pixels of even rows and columns alone: height and width halved and rounded up.
inline Shape EverySecond(const Shape &x) { return {x.images, (x.height + 1) / 2, (x.width + 1) / 2, x.channels}; }

// y: of EverySecond(shape), after ReLU if `rectify`.
template <typename T>
void GatherEvery2nd(ThreadPool &pool, const Shape &shape, const T *x, T *y, bool rectify = false) {
  const Shape to = EverySecond(shape);
  const Timed timed("every second pixel", 0, 2 * to.Values() * Index(sizeof(T)));
  pool.ForEach(to.images * to.height, [&](Index row) {
    const T *from = x + row / to.height * shape.Image() + row % to.height * 2 * shape.Row();
    T *into = y + row * to.Row();
    for (Index column = 0; column < to.width; ++column, from += 2 * to.channels, into += to.channels) {
      if (!rectify) {
        std::memcpy(into, from, to.channels * sizeof(T));
        continue;
      }
      ForChannels(to.channels, [from, into](Index channel, auto vector) {
        using V = decltype(vector);
        Max(V::All(0), V::Load(from + channel)).Store(into + channel);
      });
    }
  });
}

}  // namespace xception
