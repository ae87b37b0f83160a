// What makes a convolution without padding one of 1 x 1: each window's values, as channels of their own.
#pragma once

#include "tensor.h"

// Calls use(row of the input, row of the unfolded, values in it) for all rows; the former go on in steps of `stride`.
template <Index kernel, typename Use>
void ForRows(const Shape &in, const Shape &unfolded, Index stride, const Use &use) {
  InParallel(in.images * in.channels, [&](Index first, Index last) {
    for (Index plane = first; plane < last; ++plane) {
      for (Index place = 0; place < kernel * kernel; ++place) {
        const Index begin = plane * in.Plane() + place / kernel * in.width + place % kernel;
        for (Index row = 0; row < unfolded.height; ++row) {
          use(begin + row * stride * in.width,
              (plane * kernel * kernel + place) * unfolded.Plane() + row * unfolded.width);
        }
      }
    }
  });
}

template <Index kernel, Index stride>
void Unfold(const float *x, float *y, const Shape &in, const Shape &unfolded) {
  ForRows<kernel>(in, unfolded, stride, [&](Index from, Index to) {
    for (Index i = 0; i < unfolded.width; ++i) {
      y[to + i] = x[from + i * stride];
    }
  });
}

// The gradient: what each value has become in all windows, added up.
template <Index kernel, Index stride>
void Fold(const float *dy, float *dx, const Shape &in, const Shape &unfolded) {
  std::fill_n(dx, in.images * in.channels * in.Plane(), 0.0F);
  ForRows<kernel>(in, unfolded, stride, [&](Index to, Index from) {
#pragma omp simd
    for (Index i = 0; i < unfolded.width; ++i) {
      dx[to + i * stride] += dy[from + i];
    }
  });
}
