// 1x1 convolutions: (pixels, in) -> (pixels, out).
#pragma once

#include "convolution.h"

namespace xception {

template <class T>
class Pointwise : public Convolution<T> {
 public:
  Pointwise(Index in, Index out) : Convolution<T>(in, out, 1, 1) {}
};

}  // namespace xception
