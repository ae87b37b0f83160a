// The operators that MindSpore's ops.Custom finds by name; src/cpu/cells.py has the Python side of each.
#include <algorithm>
#include <cstring>

#include "block.h"
#include "entry.h"
#include "stem.h"
#include "tail.h"
#include "tensors.h"

namespace xception {
namespace {

// What both directions of a part take first: x, the switches, and the weights of all its layers.
StemSpec TakeStem(Tensors *tensors, const float **pixels) {
  StemSpec spec{};
  spec.images = tensors->Sizes()[0];
  spec.height = tensors->Sizes()[2];
  spec.width = tensors->Sizes()[3];
  *pixels = tensors->Next<const float>();
  const auto *frozen = tensors->Next<const std::int32_t>();
  spec.middle = tensors->Sizes()[0];
  spec.weight1 = tensors->Next<const float>();
  TakeNorm(tensors, &spec.norm1);
  spec.out = tensors->Sizes()[0];
  spec.weight2 = tensors->Next<const float>();
  TakeNorm(tensors, &spec.norm2);
  TakeFrozen(frozen, {&spec.norm1, &spec.norm2});
  return spec;
}

template <typename T>
KeptStem<T> TakeKeptStem(Tensors *tensors) {
  KeptStem<T> kept;
  kept.convolved1 = tensors->Next<T>();
  kept.convolved2 = tensors->Next<T>();
  kept.statistics1 = tensors->Next<float>();
  kept.statistics2 = tensors->Next<float>();
  return kept;
}

Norms NormsOf(BlockSpec *spec) {
  Norms norms;
  for (UnitParameters &unit : spec->units) {
    norms.push_back(&unit.norm);
  }
  if (spec->strided) {
    norms.push_back(&spec->shortcut.norm);
  }
  return norms;
}

template <typename T>
BlockSpec TakeBlock(Tensors *tensors, const T **x) {
  constexpr Index kSwitches = 3;  // then one for each norm
  BlockSpec spec{};
  spec.x = tensors->NextShape();
  *x = tensors->Next<const T>();
  const Index count = tensors->Sizes()[0];
  const auto *switches = tensors->Next<const std::int32_t>();
  spec.starts_with_relu = switches[0] != 0;
  spec.strided = switches[1] != 0;
  spec.symmetric = switches[2] != 0;
  spec.units.resize(count - kSwitches - (spec.strided ? 1 : 0));
  for (UnitParameters &unit : spec.units) {
    TakeUnit(tensors, &unit);
  }
  if (spec.strided) {
    spec.shortcut.weight = tensors->Next<const float>();
    TakeNorm(tensors, &spec.shortcut.norm);
  }
  TakeFrozen(switches + kSwitches, NormsOf(&spec));
  return spec;
}

template <typename T>
KeptBlock<T> TakeKeptBlock(Tensors *tensors, const BlockSpec &spec) {
  KeptBlock<T> kept{};
  for (std::size_t i = 0; i < spec.units.size(); ++i) {
    kept.units.push_back(TakeKeptUnit<T>(tensors));
  }
  if (spec.strided) {
    kept.shortcut.convolved = tensors->Next<T>();
    kept.shortcut.maxima = tensors->Next<T>();
    kept.shortcut.places = tensors->Next<std::uint8_t>();
  }
  for (KeptUnit<T> &unit : kept.units) {
    unit.statistics = tensors->Next<float>();
  }
  if (spec.strided) {
    kept.shortcut.statistics = tensors->Next<float>();
  }
  return kept;
}

Norms NormsOf(TailSpec *spec) { return {&spec->units[0].norm, &spec->units[1].norm}; }

template <typename T>
TailSpec TakeTail(Tensors *tensors, const T **x) {
  TailSpec spec{};
  spec.x = tensors->NextShape();
  *x = tensors->Next<const T>();
  const auto *frozen = tensors->Next<const std::int32_t>();
  for (UnitParameters &unit : spec.units) {
    TakeUnit(tensors, &unit);
  }
  TakeFrozen(frozen, NormsOf(&spec));
  return spec;
}

template <typename T>
KeptTail<T> TakeKeptTail(Tensors *tensors) {
  KeptTail<T> kept{};
  for (KeptUnit<T> &unit : kept.units) {
    unit = TakeKeptUnit<T>(tensors);
  }
  for (KeptUnit<T> &unit : kept.units) {
    unit.statistics = tensors->Next<float>();
  }
  return kept;
}

// The calls, for float32 or bfloat16 activations.
template <typename T>
void CallStemForward(ThreadPool &pool, Tensors tensors) {
  const float *pixels;
  StemSpec spec = TakeStem(&tensors, &pixels);
  const Norms norms{&spec.norm1, &spec.norm2};
  TakeMoving(&tensors, norms);
  T *y = tensors.Next<T>();
  const KeptStem<T> kept = TakeKeptStem<T>(&tensors);
  TakeMoved(&tensors, norms);
  StemForward(pool, spec, pixels, y, kept);
}

template <typename T>
void CallStemBackward(ThreadPool &pool, Tensors tensors) {
  const float *pixels;
  const StemSpec spec = TakeStem(&tensors, &pixels);
  const KeptStem<T> kept = TakeKeptStem<T>(&tensors);
  const T *dy = tensors.Next<const T>();
  StemGradients gradients;
  gradients.weight1 = tensors.Next<float>();
  gradients.norm1 = TakeNormGradients(&tensors);
  gradients.weight2 = tensors.Next<float>();
  gradients.norm2 = TakeNormGradients(&tensors);
  const Lend lend(TakeSpaces<T>(&tensors));
  StemBackward(pool, spec, pixels, kept, dy, gradients);
}

template <typename T>
void CallBlockForward(ThreadPool &pool, Tensors tensors) {
  const T *x;
  BlockSpec spec = TakeBlock(&tensors, &x);
  const Norms norms = NormsOf(&spec);
  TakeMoving(&tensors, norms);
  T *y = tensors.Next<T>();
  const KeptBlock<T> kept = TakeKeptBlock<T>(&tensors, spec);
  TakeMoved(&tensors, norms);
  BlockForward(pool, spec, x, y, kept);
}

template <typename T>
void CallBlockBackward(ThreadPool &pool, Tensors tensors) {
  const T *x;
  const BlockSpec spec = TakeBlock(&tensors, &x);
  const KeptBlock<T> kept = TakeKeptBlock<T>(&tensors, spec);
  const T *dy = tensors.Next<const T>();
  BlockGradients<T> gradients{};
  gradients.x = tensors.Next<T>();
  for (std::size_t i = 0; i < spec.units.size(); ++i) {
    gradients.units.push_back(TakeUnitGradients(&tensors));
  }
  if (spec.strided) {
    gradients.shortcut = tensors.Next<float>();
    gradients.shortcut_norm = TakeNormGradients(&tensors);
  }
  const Lend lend(TakeSpaces<T>(&tensors));
  BlockBackward(pool, spec, x, kept, dy, gradients);
}

template <typename T>
void CallTailForward(ThreadPool &pool, Tensors tensors) {
  const T *x;
  TailSpec spec = TakeTail(&tensors, &x);
  const Norms norms = NormsOf(&spec);
  TakeMoving(&tensors, norms);
  float *features = tensors.Next<float>();
  const KeptTail<T> kept = TakeKeptTail<T>(&tensors);
  TakeMoved(&tensors, norms);
  TailForward(pool, spec, x, features, kept);
}

template <typename T>
void CallTailBackward(ThreadPool &pool, Tensors tensors) {
  const T *x;
  const TailSpec spec = TakeTail(&tensors, &x);
  const KeptTail<T> kept = TakeKeptTail<T>(&tensors);
  const float *dfeatures = tensors.Next<const float>();
  TailGradients<T> gradients{};
  gradients.x = tensors.Next<T>();
  for (UnitGradients &unit : gradients.units) {
    unit = TakeUnitGradients(&tensors);
  }
  TailBackward(pool, spec, x, kept, dfeatures, gradients);
}

// Calls call(the threads, the tensors, a value of the activations' type); returns 0, or 1 and keeps what has failed.
template <typename Call>
int Run(const char *name, int count, void **tensors, Index **sizes, const char **types, const Call &call) {
  const auto is_bfloat16 = [](const char *type) { return !std::strcmp(type, "bfloat16"); };
  const bool is_half = std::any_of(types, types + count, is_bfloat16);
  return EnterOperator(name, [&](ThreadPool &pool) {
    if (is_half) {
      call(pool, Tensors(tensors, sizes), BFloat16{});
    } else {
      call(pool, Tensors(tensors, sizes), 0.0F);
    }
  });
}

}  // namespace
}  // namespace xception

#pragma GCC visibility push(default)

// What the operator said that has failed last, in a line; nothing before one has.
extern "C" const char *XceptionOperatorFailure() { return xception::last_failure; }

// MindSpore's interface: how many tensors, they themselves, their ranks, sizes and types, and two without use here.
#define XCEPTION_OPERATOR(Name)                                                                               \
  extern "C" int Name(int count, void **tensors, int *, std::int64_t **sizes, const char **types, void *, void *) { \
    return xception::Run(#Name, count, tensors, sizes, types, [](auto &pool, auto all, auto value) {          \
      xception::Call##Name<decltype(value)>(pool, all);                                                       \
    });                                                                                                       \
  }
XCEPTION_OPERATOR(StemForward)
XCEPTION_OPERATOR(StemBackward)
XCEPTION_OPERATOR(BlockForward)
XCEPTION_OPERATOR(BlockBackward)
XCEPTION_OPERATOR(TailForward)
XCEPTION_OPERATOR(TailBackward)
#pragma GCC visibility pop
