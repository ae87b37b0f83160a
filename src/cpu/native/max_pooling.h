// The 3 x 3 max pooling of stride 2. Of equal values in a window the first one counts; a NaN is larger than all.
#pragma once

#include <array>

#include "pieces.h"
#include "profile.h"
#include "vector.h"

namespace xception {

// How the windows lie: what they have outside the image is no value, which is as good as a repeated edge.
struct Pooling {
  Shape in, out;
  Index above, left;  // what the first windows have outside; "same" has it below and on the right where sizes are even
  Pooling(const Shape &in, bool symmetric)
      : in(in),
        out{in.images, (in.height + 1) / 2, (in.width + 1) / 2, in.channels},
        above(symmetric ? 1 : in.height % 2),
        left(symmetric ? 1 : in.width % 2) {}
};

// The pixels of a window inside the image: where their values begin, and their places in it, 0 to 8.
struct WindowPixels {
  std::array<Index, 9> offsets;
  std::array<std::uint32_t, 9> places;
  Index count = 0;
  WindowPixels(const Pooling &pooling, Index image, Index row, Index column) {
    for (Index i = 0; i < 9; ++i) {
      const Index y = row * 2 - pooling.above + i / 3, x = column * 2 - pooling.left + i % 3;
      if (y >= 0 && y < pooling.in.height && x >= 0 && x < pooling.in.width) {
        offsets[count] = image * pooling.in.Image() + y * pooling.in.Row() + x * pooling.in.channels;
        places[count++] = static_cast<std::uint32_t>(i);
      }
    }
  }
};

// Calls work(its pixels, where the result's values begin) for each window.
template <typename Work>
void ForWindows(ThreadPool &pool, const Pooling &pooling, Index bytes_of_value, const Work &work) {
  const Shape &out = pooling.out;
  const auto pieces = CutIntoRows(out.images, out.height, pooling.in.Row() * 3 * bytes_of_value);
  pool.ForEach(Index(pieces.size()), [&](Index piece) {
    const Rows rows = pieces[piece];
    for (Index row = rows.begin; row < rows.end; ++row) {
      Index to = rows.image * out.Image() + row * out.Row();
      for (Index column = 0; column < out.width; ++column, to += out.channels) {
        work(WindowPixels(pooling, rows.image, row, column), to);
      }
    }
  });
}

template <typename V>
typename V::Mask IsLarger(V value, V than) {
  return (value > than) | value.IsNan();
}

// Calls work(1) .. work(count - 1), unrolled for whole windows: the hardware's prefetching follows instructions.
template <typename Work>
void ForOthers(Index count, const Work &work) {
  if (count == 9) {
#pragma GCC unroll 8
    for (Index i = 1; i < 9; ++i) {
      work(i);
    }
    return;
  }
  for (Index i = 1; i < count; ++i) {
    work(i);
  }
}

// y: the maxima of x (its shape with height and width halved and rounded up), plus `added` unless it is null.
template <typename T>
void MaxPoolForward(ThreadPool &pool, const Shape &shape, bool symmetric, const T *x, const T *added, T *y) {
  const Pooling pooling(shape, symmetric);
  const Timed timed("max pooling, forward", 0,
                    (shape.Values() + (added ? 2 : 1) * pooling.out.Values()) * Index(sizeof(T)));
  ForWindows(pool, pooling, sizeof(T), [&](const WindowPixels &pixels, Index to) {
    ForChannels(shape.channels, [=, &pixels](Index channel, auto vector) {
      using V = decltype(vector);
      const T *from = x + channel;
      V most = V::Load(from + pixels.offsets[0]);
      ForOthers(pixels.count, [&](Index i) {
        const V value = V::Load(from + pixels.offsets[i]);
        most = Select(IsLarger(value, most), value, most);
      });
      if (added) {
        most = most + V::Load(added + to + channel);
      }
      most.Store(y + to + channel);
    });
  });
}

}  // namespace xception
