// Two operators of Xception and their gradients for MindSpore's ops.Custom on CPU, float32, (N, C, H, W): the depthwise
// 3 x 3 convolution of stride 1 with a border of zeros, after a ReLU or not, and the 3 x 3 max pooling of stride 2.
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <thread>
#include <vector>

namespace {

using Index = std::int64_t;

Index UsableCores() {
  cpu_set_t cores;
  return sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

// Calls work(first, last) for the parts of 0 .. count, each in a thread of its own.
template <typename Work>
void InParallel(Index count, const Work &work) {
  const Index parts = std::clamp<Index>(UsableCores(), 1, std::max<Index>(count, 1));
  std::vector<std::thread> threads;
  for (Index part = 1; part < parts; ++part) {
    threads.emplace_back([&work, count, part, parts] { work(count * part / parts, count * (part + 1) / parts); });
  }
  work(0, count / parts);
  for (auto &thread : threads) {
    thread.join();
  }
}

struct Shape {
  Index images, channels, height, width;
  explicit Shape(const Index *sizes) : images(sizes[0]), channels(sizes[1]), height(sizes[2]), width(sizes[3]) {}
  Index Plane() const { return height * width; }
  Index Offset(Index image, Index channel) const { return (image * channels + channel) * Plane(); }
};

// A plane with a border of zeros, row behind row, so that the nine values of a window are at fixed distances.
struct Padded {
  Index height, width, stride;
  std::vector<float> values;
  explicit Padded(const Shape &shape)
      : height(shape.height), width(shape.width), stride(shape.width + 2), values((height + 2) * stride + 2) {}

  template <bool relu>
  void Fill(const float *plane) {
    for (Index y = 0; y < height; ++y, plane += width) {
      float *row = &values[(y + 1) * stride + 1];
      for (Index x = 0; x < width; ++x) {
        row[x] = relu && plane[x] < 0 ? 0.0F : plane[x];  // NaN stays NaN
      }
    }
  }
};

// The sum over each window; the last two of every `stride` values lie across two rows and mean nothing.
void Correlate(const Padded &in, const float *w, float *__restrict out) {
  const float *__restrict top = in.values.data();
  const float *__restrict middle = top + in.stride, *__restrict bottom = middle + in.stride;
  const float w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8];
  for (Index i = 0; i < in.height * in.stride; ++i) {
    out[i] = w0 * top[i] + w1 * top[i + 1] + w2 * top[i + 2] + w3 * middle[i] + w4 * middle[i + 1] +
             w5 * middle[i + 2] + w6 * bottom[i] + w7 * bottom[i + 1] + w8 * bottom[i + 2];
  }
}

// Adds the gradient of the nine weights: the border of zeros of `gradient` cancels what lies across two rows.
void Accumulate(const Padded &in, const Padded &gradient, std::array<double, 9> *sums) {
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

template <bool relu>
void Depthwise(const float *x, const float *weight, float *y, const Shape &shape) {
  InParallel(shape.channels, [&](Index first, Index last) {
    Padded in(shape);
    std::vector<float> out(in.values.size());
    for (Index channel = first; channel < last; ++channel) {
      for (Index image = 0; image < shape.images; ++image) {
        const Index offset = shape.Offset(image, channel);
        in.Fill<relu>(x + offset);
        Correlate(in, weight + channel * 9, out.data());
        for (Index row = 0; row < shape.height; ++row) {
          std::copy_n(&out[row * in.stride], shape.width, y + offset + row * shape.width);
        }
      }
    }
  });
}

template <bool relu>
void DepthwiseGradient(const float *x, const float *weight, const float *dy, float *dx, float *dw, const Shape &shape) {
  InParallel(shape.channels, [&](Index first, Index last) {
    Padded in(shape), gradient(shape);
    std::vector<float> out(in.values.size());
    for (Index channel = first; channel < last; ++channel) {
      std::array<float, 9> turned;
      std::reverse_copy(weight + channel * 9, weight + channel * 9 + 9, turned.begin());
      std::array<double, 9> sums{};
      for (Index image = 0; image < shape.images; ++image) {
        const Index offset = shape.Offset(image, channel);
        in.Fill<relu>(x + offset);
        gradient.Fill<false>(dy + offset);
        Accumulate(in, gradient, &sums);
        Correlate(gradient, turned.data(), out.data());
        for (Index row = 0; row < shape.height; ++row) {
          const Index begin = offset + row * shape.width;
          for (Index i = 0; i < shape.width; ++i) {
            dx[begin + i] = relu && !(x[begin + i] > 0) ? 0.0F : out[row * in.stride + i];
          }
        }
      }
      std::copy(sums.begin(), sums.end(), dw + channel * 9);
    }
  });
}

// Along one axis: the windows' places, where half of the padding that "same" needs, rounded down, comes before.
struct Axis {
  Index size, before;
  Axis(Index input, Index output) : size(input), before(std::max<Index>(output * 2 + 1 - input, 0) / 2) {}
  Index Begin(Index window) const { return std::max<Index>(window * 2 - before, 0); }
  Index End(Index window) const { return std::min(window * 2 - before + 3, size); }
};

// The place of the maximum of a window that begins at `begin`; the first of equal ones.
inline Index PlaceOfMaximum(const float *plane, Index begin, Index width, Index rows, Index columns) {
  Index place = begin;
  float most = plane[begin];
  for (Index y = 0; y < rows; ++y) {
    for (Index x = 0; x < columns; ++x) {
      const Index here = begin + y * width + x;
      const bool is_more = plane[here] > most;
      place = is_more ? here : place;
      most = is_more ? plane[here] : most;
    }
  }
  return place;
}

// Calls use(window, place) for each window of a plane, with the place of its maximum.
template <typename Use>
void ForMaxima(const float *plane, const Shape &in, const Shape &out, const Use &use) {
  const Axis vertical(in.height, out.height), horizontal(in.width, out.width);
  for (Index row = 0; row < out.height; ++row) {
    const Index top = vertical.Begin(row), rows = vertical.End(row) - top;
    for (Index column = 0; column < out.width; ++column) {
      const Index left = horizontal.Begin(column), columns = horizontal.End(column) - left;
      const Index begin = top * in.width + left;
      // Known numbers let the compiler unroll the loops of all windows but those at the border.
      use(row * out.width + column, rows == 3 && columns == 3 ? PlaceOfMaximum(plane, begin, in.width, 3, 3)
                                                              : PlaceOfMaximum(plane, begin, in.width, rows, columns));
    }
  }
}

const float *Input(void **tensors, int index) { return static_cast<const float *>(tensors[index]); }
float *Output(void **tensors, int index) { return static_cast<float *>(tensors[index]); }

}  // namespace

// The names and arguments that ops.Custom calls: tensors and their shapes, inputs first.
extern "C" {

int DepthwiseForward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  Depthwise<false>(Input(tensors, 0), Input(tensors, 1), Output(tensors, 2), Shape(shapes[0]));
  return 0;
}

int DepthwiseBackward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  DepthwiseGradient<false>(Input(tensors, 0), Input(tensors, 1), Input(tensors, 2), Output(tensors, 3),
                           Output(tensors, 4), Shape(shapes[0]));
  return 0;
}

int ReluDepthwiseForward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  Depthwise<true>(Input(tensors, 0), Input(tensors, 1), Output(tensors, 2), Shape(shapes[0]));
  return 0;
}

int ReluDepthwiseBackward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  DepthwiseGradient<true>(Input(tensors, 0), Input(tensors, 1), Input(tensors, 2), Output(tensors, 3),
                          Output(tensors, 4), Shape(shapes[0]));
  return 0;
}

int MaxPoolForward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  const Shape in(shapes[0]), out(shapes[1]);
  InParallel(in.images * in.channels, [&](Index first, Index last) {
    for (Index plane = first; plane < last; ++plane) {
      const float *x = Input(tensors, 0) + plane * in.Plane();
      float *y = Output(tensors, 1) + plane * out.Plane();
      ForMaxima(x, in, out, [x, y](Index window, Index place) { y[window] = x[place]; });
    }
  });
  return 0;
}

int MaxPoolBackward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  const Shape in(shapes[0]), out(shapes[1]);
  InParallel(in.images * in.channels, [&](Index first, Index last) {
    for (Index plane = first; plane < last; ++plane) {
      const float *dy = Input(tensors, 1) + plane * out.Plane();
      float *dx = Output(tensors, 2) + plane * in.Plane();
      std::fill_n(dx, in.Plane(), 0.0F);
      ForMaxima(Input(tensors, 0) + plane * in.Plane(), in, out,
                [dx, dy](Index window, Index place) { dx[place] += dy[window]; });
    }
  });
  return 0;
}
}
