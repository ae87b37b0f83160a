// A unit in evaluation: the depthwise convolution and the 1x1 one with its folded batch norm.
#pragma once

#include <array>

#include "convolution.h"
#include "depthwise.h"

namespace xception {

// Into how many pieces of rows each image is cut: their depthwise results take about half of a core's second cache,
// or less where threads would be left without work.
inline Index PartsForThreads(const Shape &shape, Index bytes_of_value, int threads) {
  constexpr Index kBytes = 384 << 10, kEnough = 4;  // pieces a thread: then it does not matter who has one more
  const Index rows = std::clamp<Index>(kBytes / (shape.Row() * bytes_of_value), 1, shape.height);
  Index parts = (shape.height + rows - 1) / rows;
  while (parts < shape.height && shape.images * parts < kEnough * threads && shape.images * parts % threads != 0) {
    ++parts;
  }
  return parts;
}

template <class T>
class FixedUnit {
 public:
  // depthwise: (in, 1, 3, 3); pointwise: in -> out
  FixedUnit(const float *depthwise, Index in, Index out, FixedConvolution pointwise)
      : out_(out),
        depthwise_(depthwise, depthwise + in * 9),
        weights_(ChannelsLast(depthwise, in)),
        pointwise_(std::move(pointwise)) {}

  Index Out() const { return out_; }

  // y = the unit of x, or y += that; not x itself.
  void Run(ThreadPool &pool, const Shape &shape, Before before, const T *x, T *y, bool adds) {
    constexpr Index kFewPixels = 32;  // a thread: then oneDNN divides the channels too
    if (shape.Pixels() < kFewPixels * pool.Threads()) {
      T *const between = Between().template Need<T>(shape.Values());
      DepthwiseForward<T>(pool, shape, before, nullptr, nullptr, x, depthwise_.data(), between);
      pointwise_.Run(pool, shape, between, y, adds);
      return;
    }
    WithBefore(before, [&](auto constant) { RunPieces<decltype(constant)::value>(pool, shape, x, y, adds); });
  }

 private:
  static Buffer &Between() {
    static thread_local Buffer buffer;
    return buffer;
  }

  // A piece's depthwise result is multiplied by the thread that has made it, while it is in its cache.
  template <Before before>
  void RunPieces(ThreadPool &pool, const Shape &shape, const T *x, T *y, bool adds) {
    const Index parts = PartsForThreads(shape, sizeof(T), pool.Threads()), least = shape.height / parts;
    std::array<FixedConvolution::Ready, 2> ready;  // of the least number of rows, and one more
    for (Index more = 0; more <= (shape.height % parts ? 1 : 0); ++more) {
      ready[more] = pointwise_.For(pool, 1, {1, least + more, shape.width, shape.channels}, adds);
    }
    const Index weights = shape.channels * out_, results = (adds ? 2 : 1) * shape.Pixels() * out_;
    TimedPieces depthwise(kDepthwiseForward, DepthwiseOperations(shape), 2 * shape.Values() * Index(sizeof(T)),
                          pool.Threads());
    TimedPieces pointwise(kPointwiseForward, 2 * shape.Pixels() * weights,
                          (shape.Values() + weights + results) * Index(sizeof(T)), pool.Threads());
    pool.ForEach(shape.images * parts, [&](Index piece) {
      static thread_local ThreadPool alone(1);
      const Index part = piece % parts;
      const Rows rows{piece / parts, shape.height * part / parts, shape.height * (part + 1) / parts};
      const Index count = rows.end - rows.begin;
      const T *const image = x + rows.image * shape.Image();
      T *const between = Between().template Need<T>(count * shape.Row());
      depthwise.Time([&] {
        ReadForDepthwise(shape, rows, image);
        DepthwiseRows<before>(shape, rows, nullptr, nullptr, image, weights_.data(), between);
      });
      pointwise.Time([&] {
        ready[count - least].Run(alone, between, y + (rows.image * shape.height + rows.begin) * shape.width * out_);
      });
    });
  }

  Index out_;
  std::vector<float> depthwise_, weights_;  // (in, 1, 3, 3) and (3, 3, in)
  FixedConvolution pointwise_;
};

}  // namespace xception
