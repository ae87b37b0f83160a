// The gradient of the depthwise convolution and of what comes before it, in one pass.
#pragma once

#include <vector>

#include "batch_norm_backward.h"
#include "depthwise.h"
#include "skip.h"

namespace xception {

// What a depthwise convolution had in the forward pass.
template <typename T>
struct DepthwiseInputs {
  Shape shape;  // of x and y
  Before before;
  const Normalisation *norm;  // null but for Before::kNormRelu
  const T *x;
  const float *weight;  // (C, 1, 3, 3)
};

// Gradients that come to x on other ways, past what is before the convolution; null: none.
template <typename T>
struct OtherGradients {
  const T *whole = nullptr;
  const T *even = nullptr;  // of the pixels of even rows and columns: EverySecond(shape)
};

// The sums of a piece of work over its pixels: the gradients of the weights, those of the norm's values, and their
// products with their distances from the mean.
constexpr Index kDepthwiseSums = 11;

// What y's gradients give to a column of weights: the pixel below x was reached by the weight above.
template <typename V>
void AddProducts(V x, const Column<V> &dy, Column<V> *dweight) {
  dweight->top = MultiplyAdd(x, dy.bottom, dweight->top);
  dweight->middle = MultiplyAdd(x, dy.middle, dweight->middle);
  dweight->bottom = MultiplyAdd(x, dy.top, dweight->bottom);
}

// For the channels from `channel` of some rows of an image.
template <Before kBefore, typename V, typename T>
void DepthwiseBackwardRows(const DepthwiseInputs<T> &in, const Rows &rows, Index channel, const float *weights,
                           const OtherGradients<T> &others, const T *dy, T *dx, float *sums) {
  const Shape &shape = in.shape;
  const Index channels = shape.channels, image = rows.image * shape.Image();
  const Window<V> w(weights, channels, channel);
  const Scaling scaled = in.norm ? in.norm->Values() : Scaling{};
  const Change<kBefore, V> change(scaled.scale, scaled.shift, channel);
  const V zero = V::All(0);
  V mean = zero, gradients = zero, products = zero;
  if constexpr (kBefore == Before::kNormRelu) {
    mean = V::Load(in.norm->mean + channel);
  }
  Column<V> dleft{}, dmiddle{}, dright{};  // of the weights; not in an array, which would not stay in registers
  for (Index row = rows.begin; row < rows.end; ++row) {
    // What y has above x was reached by the lower weights, and so on for all sides.
    const ThreeRows<T> source(dy + image, shape, row, channel);
    const auto same = [](V value) { return value; };
    const Index begin = image + row * shape.Row() + channel;
    const T *x = in.x + begin;
    T *out = dx + begin;
    const T *whole = others.whole ? others.whole + begin : nullptr;
    const Shape half = EverySecond(shape);
    const bool is_even = others.even && row % 2 == 0;
    const T *even = is_even ? others.even + rows.image * half.Image() + row / 2 * half.Row() + channel : nullptr;
    Column<V> left{}, middle = source.template At<V>(0, same), right;
    for (Index i = 0; i < shape.width; ++i) {
      right = i + 1 < shape.width ? source.template At<V>(i + 1, same) : Column<V>{};
      const V value = V::Load(x + i * channels), normalised = change.Normalised(value);
      const V changed = change.Rectified(normalised);
      const V above = MultiplyAdd(right.top, w.left.bottom,
                                  MultiplyAdd(middle.top, w.middle.bottom, left.top * w.right.bottom));
      const V beside = MultiplyAdd(right.middle, w.left.middle,
                                   MultiplyAdd(middle.middle, w.middle.middle, left.middle * w.right.middle));
      const V below =
          MultiplyAdd(right.bottom, w.left.top, MultiplyAdd(middle.bottom, w.middle.top, left.bottom * w.right.top));
      V gradient = above + (beside + below);
      if constexpr (kBefore != Before::kNothing) {
        gradient = Select(normalised > zero, gradient, zero);
      }
      if constexpr (kBefore == Before::kNormRelu) {
        gradients = gradients + gradient;
        products = MultiplyAdd(gradient, value - mean, products);
      } else {
        if (whole) {
          gradient = gradient + V::Load(whole + i * channels);
        }
        if (even && i % 2 == 0) {
          gradient = gradient + V::Load(even + i / 2 * channels);
        }
      }
      gradient.Store(out + i * channels);
      AddProducts(changed, right, &dleft);
      AddProducts(changed, middle, &dmiddle);
      AddProducts(changed, left, &dright);
      left = middle;
      middle = right;
    }
  }
  dleft.Store(sums + channel, 3 * channels);
  dmiddle.Store(sums + channels + channel, 3 * channels);
  dright.Store(sums + 2 * channels + channel, 3 * channels);
  gradients.Store(sums + 9 * channels + channel);
  products.Store(sums + 10 * channels + channel);
}

// From the gradient dy of y: dx, before the norm where there is one, and then what the norm needs of dx, else zeros;
// dweight (C, 1, 3, 3), null: not wanted.
template <typename T>
NormSums DepthwiseBackward(ThreadPool &pool, const DepthwiseInputs<T> &in, const OtherGradients<T> &others, const T *dy,
                           T *dx, float *dweight) {
  const Shape &shape = in.shape;
  const Index channels = shape.channels;
  const Timed timed("depthwise 3 x 3 convolution, backward", 2 * DepthwiseOperations(shape),
                    3 * shape.Values() * Index(sizeof(T)));
  const std::vector<float> weights = ChannelsLast(in.weight, channels);
  const auto pieces = CutIntoRows(shape.images, shape.height, shape.Row() * Index(sizeof(T)) * 3);
  std::vector<float> sums(pieces.size() * kDepthwiseSums * channels);
  WithBefore(in.before, [&](auto before) {
    pool.ForEach(Index(pieces.size()), [&](Index piece) {
      const Rows rows = pieces[piece];
      const Index first = std::max<Index>(rows.begin - 1, 0), last = std::min(rows.end + 1, shape.height);
      const Index image = rows.image * shape.Image(), begin = image + rows.begin * shape.Row();
      const Index bytes = (rows.end - rows.begin) * shape.Row() * Index(sizeof(T));
      ReadInOrder(dy + image + first * shape.Row(), (last - first) * shape.Row() * Index(sizeof(T)));
      ReadInOrder(in.x + begin, bytes);
      ReadInOrder(dx + begin, bytes);
      ForChannels(channels, [&](Index channel, auto vector) {
        DepthwiseBackwardRows<decltype(before)::value, decltype(vector)>(in, rows, channel, weights.data(), others, dy,
                                                                         dx, &sums[piece * kDepthwiseSums * channels]);
      });
    });
  });
  NormSums result(Total(pool, sums, kDepthwiseSums * channels), channels);
  for (Index i = 0; dweight && i < 9 * channels; ++i) {
    dweight[i % channels * 9 + i / channels] = static_cast<float>(result.values[i]);
  }
  return result;
}

}  // namespace xception
