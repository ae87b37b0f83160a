// Convolutions by oneDNN, made once for the process for each case: T is float or BFloat16, weights are float32 (OIHW).
#pragma once

#include "onednn.h"
#include "profile.h"

namespace xception {

// Of one call; shared by all types, so that what is made is made once.
void ConvolutionForward(ThreadPool &pool, const ConvolutionSizes &sizes, const void *x, const float *weight, void *y);
void ConvolutionBackwardData(ThreadPool &pool, const ConvolutionSizes &sizes, const void *dy, const float *weight,
                             void *dx);
void ConvolutionBackwardWeight(ThreadPool &pool, const ConvolutionSizes &sizes, const void *x, const void *dy,
                               float *dweight);

// A convolution without padding.
template <class T>
class Convolution {
 public:
  Convolution(Index in, Index out, Index kernel, Index stride)
      : in_(in), out_(out), kernel_(kernel), stride_(stride) {}

  Shape Output(const Shape &x) const {
    return {x.images, (x.height - kernel_) / stride_ + 1, (x.width - kernel_) / stride_ + 1, out_};
  }
  void Forward(ThreadPool &pool, const Shape &x_shape, const T *x, const float *weight, T *y) const {
    ConvolutionForward(pool, Sizes(x_shape), x, weight, y);
  }
  void BackwardData(ThreadPool &pool, const Shape &x_shape, const T *dy, const float *weight, T *dx) const {
    ConvolutionBackwardData(pool, Sizes(x_shape), dy, weight, dx);
  }
  void BackwardWeight(ThreadPool &pool, const Shape &x_shape, const T *x, const T *dy, float *dweight) const {
    ConvolutionBackwardWeight(pool, Sizes(x_shape), x, dy, dweight);
  }

 private:
  ConvolutionSizes Sizes(const Shape &x) const { return {in_, out_, kernel_, stride_, x, Output(x), kTypeOf<T>}; }

  Index in_, out_, kernel_, stride_;
};

// The stem's.
template <class T>
class Convolution3x3 : public Convolution<T> {
 public:
  Convolution3x3(Index in, Index out, Index stride) : Convolution<T>(in, out, 3, stride) {}
};

// Weights for evaluation: packed once, again only for sizes that want them in another order.
class FixedConvolution {
 public:
  // The computation for one size; until FixedConvolution changes it may run on several threads at once.
  class Ready {
   public:
    // y = convolution + bias, or y += that.
    void Run(ThreadPool &pool, const void *x, void *y) const;

   private:
    friend class FixedConvolution;
    Primitive compute_;
    Layout x_, y_, weight_layout_, bias_layout_;
    const void *weight_ = nullptr, *bias_ = nullptr;
  };

  FixedConvolution() = default;
  // Weights and bias, if there is one, are copied.
  FixedConvolution(Index in, Index out, Index kernel, Index stride, Type type, const float *weight, const float *bias);

  // For pools of so many threads; `pool` packs the weights if need be. The output has the sizes of Convolution's.
  Ready For(ThreadPool &pool, int threads, const Shape &x_shape, bool adds);
  void Run(ThreadPool &pool, const Shape &x_shape, const void *x, void *y, bool adds = false);

 private:
  struct Packed {
    Layout layout;
    std::shared_ptr<Buffer> data;
  };
  ConvolutionSizes Sizes(const Shape &x) const;
  const void *PackedAs(ThreadPool &pool, const Layout &layout);

  Index in_ = 0, out_ = 0, kernel_ = 1, stride_ = 1;
  Type type_ = Type::kFloat32;
  Buffer bias_;
  bool has_bias_ = false, is_packed_ = false;
  std::vector<Packed> packed_;  // the first one as they came, until there is another
};

}  // namespace xception
