// The depthwise 3 x 3 convolution of stride 1 with a border of zeros, and what comes before it, in one pass.
#pragma once

#include <type_traits>
#include <vector>

#include "pieces.h"
#include "profile.h"
#include "vector.h"

namespace xception {

// What comes before the depthwise convolution.
enum class Before { kNothing, kRelu, kNormRelu };

// The change of some channels' values; of NaN it makes NaN.
template <Before before, typename V>
struct Change {
  V scale, shift;
  Change(const float *scales, const float *shifts, Index channel) {
    if constexpr (before == Before::kNormRelu) {
      scale = V::Load(scales + channel);
      shift = V::Load(shifts + channel);
    }
  }
  V Normalised(V value) const {
    if constexpr (before == Before::kNormRelu) {
      value = MultiplyAdd(value, scale, shift);
    }
    return value;
  }
  static V Rectified(V value) {
    if constexpr (before != Before::kNothing) {
      value = Max(V::All(0), value);
    }
    return value;
  }
  V operator()(V value) const { return Rectified(Normalised(value)); }
};

// Calls work(an integral constant with the value of `before`).
template <typename Work>
void WithBefore(Before before, const Work &work) {
  switch (before) {
    case Before::kNothing:
      return work(std::integral_constant<Before, Before::kNothing>());
    case Before::kRelu:
      return work(std::integral_constant<Before, Before::kRelu>());
    case Before::kNormRelu:
      return work(std::integral_constant<Before, Before::kNormRelu>());
  }
}

// The weights (C, 1, 3, 3) as (3, 3, C): those of neighbouring channels beside one another.
inline std::vector<float> ChannelsLast(const float *weight, Index channels) {
  std::vector<float> result(channels * 9);
  for (Index channel = 0; channel < channels; ++channel) {
    for (Index i = 0; i < 9; ++i) {
      result[i * channels + channel] = weight[channel * 9 + i];
    }
  }
  return result;
}

// Three values, one below the other, or what else there are three of.
template <typename V>
struct Column {
  V top, middle, bottom;
  void Store(float *to, Index distance) const {
    top.Store(to);
    middle.Store(to + distance);
    bottom.Store(to + 2 * distance);
  }
};

// The nine weights of some channels, column by column.
template <typename V>
struct Window {
  Column<V> left, middle, right;
  Window(const float *weight, Index channels, Index channel)
      : left{At(weight, channels, channel, 0)},
        middle{At(weight, channels, channel, 1)},
        right{At(weight, channels, channel, 2)} {}
  static Column<V> At(const float *weight, Index channels, Index channel, Index column) {
    const float *from = weight + channel + column * channels;
    return {V::Load(from), V::Load(from + 3 * channels), V::Load(from + 6 * channels)};
  }
};

// Three rows of some channels: `middle` is a row of the image, those that are none are zeros.
template <typename T>
struct ThreeRows {
  const T *top, *middle, *bottom;  // null: no row
  Index channels;
  ThreeRows(const T *image, const Shape &shape, Index row, Index channel)
      : top(row > 0 ? image + (row - 1) * shape.Row() + channel : nullptr),
        middle(image + row * shape.Row() + channel),
        bottom(row + 1 < shape.height ? image + (row + 1) * shape.Row() + channel : nullptr),
        channels(shape.channels) {}

  template <typename V, typename Change>
  Column<V> At(Index column, const Change &change) const {
    const Index i = column * channels;
    return {top ? change(V::Load(top + i)) : V::All(0), change(V::Load(middle + i)),
            bottom ? change(V::Load(bottom + i)) : V::All(0)};
  }
};

// Some rows of an image: `image` and `to` are where it and the rows' results begin, weights (3, 3, C).
template <Before before, typename T>
void DepthwiseRows(const Shape &shape, const Rows &rows, const float *scale, const float *shift, const T *image,
                   const float *weights, T *to) {
  ForChannels(shape.channels, [&](Index channel, auto vector) {
    using V = decltype(vector);
    const Window<V> w(weights, shape.channels, channel);
    const Change<before, V> change(scale, shift, channel);
    T *out = to + channel;
    for (Index row = rows.begin; row < rows.end; ++row) {
      const ThreeRows<T> source(image, shape, row, channel);
      Column<V> left{}, middle = source.template At<V>(0, change), right;
      for (Index i = 0; i < shape.width; ++i, out += shape.channels) {
        right = i + 1 < shape.width ? source.template At<V>(i + 1, change) : Column<V>{};
        // Three sums that do not wait for one another.
        const V top = MultiplyAdd(left.top, w.left.top,
                                  MultiplyAdd(middle.top, w.middle.top, right.top * w.right.top));
        const V centre = MultiplyAdd(left.middle, w.left.middle,
                                     MultiplyAdd(middle.middle, w.middle.middle, right.middle * w.right.middle));
        const V bottom = MultiplyAdd(left.bottom, w.left.bottom,
                                     MultiplyAdd(middle.bottom, w.middle.bottom, right.bottom * w.right.bottom));
        (top + (centre + bottom)).Store(out);
        left = middle;
        middle = right;
      }
    }
  });
}

// Brings what DepthwiseRows reads of an image into the cache.
template <typename T>
void ReadForDepthwise(const Shape &shape, const Rows &rows, const T *image) {
  const Index first = std::max<Index>(rows.begin - 1, 0), last = std::min(rows.end + 1, shape.height);
  ReadInOrder(image + first * shape.Row(), (last - first) * shape.Row() * Index(sizeof(T)));
}

inline Index DepthwiseOperations(const Shape &shape) { return 2 * 9 * shape.Values(); }

// y: the convolution of what x is changed to, of the same shape; weight (C, 1, 3, 3); scale and shift (C) are read for
// Before::kNormRelu alone.
template <typename T>
void DepthwiseForward(ThreadPool &pool, const Shape &shape, Before before, const float *scale, const float *shift,
                      const T *x, const float *weight, T *y) {
  const Timed timed(kDepthwiseForward, DepthwiseOperations(shape), 2 * shape.Values() * Index(sizeof(T)));
  const std::vector<float> weights = ChannelsLast(weight, shape.channels);
  const auto pieces = CutIntoRows(shape.images, shape.height, shape.Row() * Index(sizeof(T)) * 2);
  WithBefore(before, [&](auto constant) {
    pool.ForEach(Index(pieces.size()), [&](Index piece) {
      const Rows rows = pieces[piece];
      const T *image = x + rows.image * shape.Image();
      T *to = y + rows.image * shape.Image() + rows.begin * shape.Row();
      ReadForDepthwise(shape, rows, image);
      ReadInOrder(to, (rows.end - rows.begin) * shape.Row() * Index(sizeof(T)));
      DepthwiseRows<decltype(constant)::value>(shape, rows, scale, shift, image, weights.data(), to);
    });
  });
}

}  // namespace xception
