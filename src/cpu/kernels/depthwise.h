// The depthwise 3 x 3 convolution of stride 1 with a border of zeros, of values that are changed one by one before.
#pragma once

#include <array>

#include "tensor.h"

// A plane with a border of zeros, row behind row, so that the nine values of a window are at fixed distances.
struct Padded {
  Index height, width, stride;
  std::vector<float> values;
  explicit Padded(const Shape &shape)
      : height(shape.height), width(shape.width), stride(shape.width + 2), values((height + 2) * stride + 2) {}

  template <typename Change>
  void Fill(const float *plane, const Change &change) {
    for (Index y = 0; y < height; ++y, plane += width) {
      float *row = Row(y);
      for (Index x = 0; x < width; ++x) {
        row[x] = change(plane[x]);
      }
    }
  }

  float *Row(Index y) { return &values[(y + 1) * stride + 1]; }
};

// The sum over each window; the last two of every `stride` values lie across two rows and mean nothing.
inline void Correlate(const Padded &in, const float *w, float *__restrict out) {
  const float *__restrict top = in.values.data();
  const float *__restrict middle = top + in.stride, *__restrict bottom = middle + in.stride;
  const float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];
  for (Index i = 0; i < in.height * in.stride; ++i) {
    out[i] = w0 * top[i] + w1 * top[i + 1] + w2 * top[i + 2] + w3 * middle[i] + w4 * middle[i + 1] +
             w5 * middle[i + 2] + w6 * bottom[i] + w7 * bottom[i + 1] + w8 * bottom[i + 2];
  }
}

// Adds the gradient of the nine weights: the border of zeros of `gradient` cancels what lies across two rows.
inline void Accumulate(const Padded &in, const Padded &gradient, std::array<double, 9> *sums) {
  const float *__restrict g = &gradient.values[in.stride + 1];
  const float *__restrict top = in.values.data();
  const float *__restrict middle = top + in.stride, *__restrict bottom = middle + in.stride;
  float s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0, s8 = 0;
#pragma omp simd reduction(+ : s0, s1, s2, s3, s4, s5, s6, s7, s8)
  for (Index i = 0; i < in.height * in.stride; ++i) {
    s0 += g[i] * top[i];
    s1 += g[i] * top[i + 1];
    s2 += g[i] * top[i + 2];
    s3 += g[i] * middle[i];
    s4 += g[i] * middle[i + 1];
    s5 += g[i] * middle[i + 2];
    s6 += g[i] * bottom[i];
    s7 += g[i] * bottom[i + 1];
    s8 += g[i] * bottom[i + 2];
  }
  const std::array<float, 9> plane{s0, s1, s2, s3, s4, s5, s6, s7, s8};
  for (std::size_t i = 0; i < plane.size(); ++i) {
    (*sums)[i] += plane[i];
  }
}

// change_of(channel) gives the change of that channel's values.
template <typename ChangeOf>
void Depthwise(const float *x, const float *weight, float *y, const Shape &shape, const ChangeOf &change_of) {
  InParallel(shape.channels, [&](Index first, Index last) {
    Padded in(shape);
    std::vector<float> out(in.values.size());
    for (Index channel = first; channel < last; ++channel) {
      const auto change = change_of(channel);
      for (Index image = 0; image < shape.images; ++image) {
        const Index offset = shape.Offset(image, channel);
        in.Fill(x + offset, change);
        Correlate(in, weight + channel * 9, out.data());
        for (Index row = 0; row < shape.height; ++row) {
          std::copy_n(&out[row * in.stride], shape.width, y + offset + row * shape.width);
        }
      }
    }
  });
}

// Writes the gradient of the changed values, where these are positive if `relu` ends their change, and calls
// finish(channel) as soon as that is done for a channel.
template <bool relu, typename ChangeOf, typename Finish>
void DepthwiseGradient(const float *x, const float *weight, const float *dy, float *dx, float *dw, const Shape &shape,
                       const ChangeOf &change_of, const Finish &finish) {
  InParallel(shape.channels, [&](Index first, Index last) {
    Padded in(shape), gradient(shape);
    std::vector<float> out(in.values.size());
    for (Index channel = first; channel < last; ++channel) {
      const auto change = change_of(channel);
      std::array<float, 9> turned;
      std::reverse_copy(weight + channel * 9, weight + channel * 9 + 9, turned.begin());
      std::array<double, 9> sums{};
      for (Index image = 0; image < shape.images; ++image) {
        const Index offset = shape.Offset(image, channel);
        in.Fill(x + offset, change);
        gradient.Fill(dy + offset, [](float value) { return value; });
        Accumulate(in, gradient, &sums);
        Correlate(gradient, turned.data(), out.data());
        for (Index row = 0; row < shape.height; ++row) {
          const float *values = in.Row(row), *from = &out[row * in.stride];
          float *to = dx + offset + row * shape.width;
          for (Index i = 0; i < shape.width; ++i) {
            to[i] = relu && !(values[i] > 0) ? 0.0F : from[i];
          }
        }
      }
      std::copy(sums.begin(), sums.end(), dw + channel * 9);
      finish(channel);
    }
  });
}
