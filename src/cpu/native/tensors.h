// The tensors that MindSpore calls an operator with, as the kernels take them; the order is that of src/cpu/cells.py.
#pragma once

#include <vector>

#include "separable.h"

namespace xception {

// The tensors of a call, taken one by one.
class Tensors {
 public:
  Tensors(void **tensors, Index **sizes) : tensors_(tensors), sizes_(sizes) {}

  template <typename T>
  T *Next() {
    ++sizes_;
    return static_cast<T *>(*tensors_++);
  }
  // Of the next one.
  const Index *Sizes() const { return *sizes_; }

  Shape NextShape() const { return {Sizes()[0], Sizes()[1], Sizes()[2], Sizes()[3]}; }

 private:
  void **tensors_;
  Index **sizes_;
};

using Norms = std::vector<NormParameters *>;

inline void TakeNorm(Tensors *tensors, NormParameters *norm) {
  norm->gamma = tensors->Next<const float>();
  norm->beta = tensors->Next<const float>();
}

inline void TakeUnit(Tensors *tensors, UnitParameters *unit) {
  unit->depthwise = tensors->Next<const float>();
  unit->out = tensors->Sizes()[0];
  unit->in = tensors->Sizes()[1];
  unit->pointwise = tensors->Next<const float>();
  TakeNorm(tensors, &unit->norm);
}

inline void TakeFrozen(const std::int32_t *frozen, const Norms &norms) {
  for (NormParameters *norm : norms) {
    norm->frozen = *frozen++ != 0;
  }
}

inline void TakeMoving(Tensors *tensors, const Norms &norms) {
  for (NormParameters *norm : norms) {
    norm->moving_mean = tensors->Next<const float>();
    norm->moving_variance = tensors->Next<const float>();
  }
}

inline void TakeMoved(Tensors *tensors, const Norms &norms) {
  for (NormParameters *norm : norms) {
    norm->moved_mean = tensors->Next<float>();
    norm->moved_variance = tensors->Next<float>();
  }
}

inline NormGradients TakeNormGradients(Tensors *tensors) {
  float *gamma = tensors->Next<float>();
  return {gamma, tensors->Next<float>()};
}

inline UnitGradients TakeUnitGradients(Tensors *tensors) {
  float *depthwise = tensors->Next<float>();
  float *pointwise = tensors->Next<float>();
  return {depthwise, pointwise, TakeNormGradients(tensors)};
}

template <typename T>
std::array<Memory, 2> TakeSpaces(Tensors *tensors) {
  std::array<Memory, 2> spaces;
  for (Memory &space : spaces) {
    space.bytes = tensors->NextShape().Values() * sizeof(T);
    space.begin = tensors->Next<T>();
  }
  return spaces;
}

template <typename T>
KeptUnit<T> TakeKeptUnit(Tensors *tensors) {
  T *depthwise = tensors->Next<T>();
  return {depthwise, tensors->Next<T>(), nullptr};
}

}  // namespace xception
