// Xception in evaluation, T = float or BFloat16: batch norm folded, residual sums within the products.
#pragma once

#include <utility>

#include "evaluation_kernels.h"
#include "first_convolution.h"
#include "fixed_unit.h"
#include "folding.h"
#include "max_pooling.h"
#include "skip.h"

namespace xception {

template <class T>
class Network {
 public:
  // parameters: see classifier.h
  Network(bool symmetric_pool, Index classes, Parameters parameters)
      : symmetric_(symmetric_pool),
        first_(FoldNext(FirstConvolution::kOut, 3 * 9, &parameters)),
        second_(Fixed(FirstConvolution::kOut, 64, 3, &parameters)) {
    Index channels = 64;
    for (const Index width : {128, 256, 728}) {
      AddBlock({channels, width, width}, true, &parameters);
      channels = width;
    }
    for (int i = 0; i < 8; ++i) {
      AddBlock({728, 728, 728, 728}, false, &parameters);
    }
    AddBlock({728, 728, 1024}, true, &parameters);
    AddUnits({1024, 1536, 2048}, &parameters, &tail_);
    const float *weight = parameters.Next();
    head_ = FixedConvolution(2048, classes, 1, 1, Type::kFloat32, weight, parameters.Next());
  }

  // logits: (images, classes)
  void Run(ThreadPool &pool, const Images &images, float *logits) {
    Shape shape{};
    T *const x = RunEntry(pool, images, &shape);
    for (std::size_t i = 3; i + 1 < blocks_.size(); ++i) {
      RunBlock(pool, &blocks_[i], false, &shape, x, x);
    }
    T *const y = other_.Need<T>(Halved(shape, 1024).Values());
    RunBlock(pool, &blocks_.back(), false, &shape, x, y);
    RunTail(pool, shape, y, logits);
  }

 private:
  struct Block {
    std::vector<FixedUnit<T>> units;
    FixedConvolution skip;
    bool is_strided;
  };

  static Folded FoldNext(Index out, Index each, Parameters *parameters) {
    const float *weight = parameters->Next();
    return Fold(weight, out, each, parameters);
  }

  static FixedConvolution Fixed(Index in, Index out, Index kernel, Parameters *parameters) {
    const Folded folded = FoldNext(out, in * kernel * kernel, parameters);
    return FixedConvolution(in, out, kernel, 1, kTypeOf<T>, folded.weight.data(), folded.bias.data());
  }

  static Shape Halved(Shape shape, Index channels) {
    shape.channels = channels;
    return EverySecond(shape);
  }

  static void AddUnits(const std::vector<Index> &widths, Parameters *parameters, std::vector<FixedUnit<T>> *units) {
    for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
      const float *depthwise = parameters->Next();
      units->emplace_back(depthwise, widths[i], widths[i + 1], Fixed(widths[i], widths[i + 1], 1, parameters));
    }
  }

  void AddBlock(const std::vector<Index> &widths, bool is_strided, Parameters *parameters) {
    Block block{{}, {}, is_strided};
    if (is_strided) {
      block.skip = Fixed(widths.front(), widths.back(), 1, parameters);
    }
    AddUnits(widths, parameters, &block.units);
    blocks_.push_back(std::move(block));
  }

  // The stem and the first blocks, a few images at a time: so many that they stay in the processor's last cache.
  T *RunEntry(ThreadPool &pool, const Images &images, Shape *shape) {
    const Shape first = FirstConvolution::Output(images);
    const Shape stem{1, first.height - 2, first.width - 2, 64};
    const Shape middle = Halved(Halved(Halved(stem, 0), 0), 728);
    const Index at_once = std::max<Index>(kEntryBytes / (stem.Image() * 2 * Index(sizeof(T))), 1);
    const Index groups = (images.images + at_once - 1) / at_once;
    T *const result = x_.Need<T>(images.images * middle.Image());
    for (Index group = 0; group < groups; ++group) {
      const Index begin = images.images * group / groups, end = images.images * (group + 1) / groups;
      const Images some = images.Part(begin, end - begin);
      *shape = stem;
      shape->images = some.images;
      T *const between = between_.Need<T>(FirstConvolution::Output(some).Values());
      T *const x = entry_.Need<T>(shape->Values());
      RunStem(pool, some, between, x);
      T *const y = other_.Need<T>(Halved(*shape, 128).Values());
      RunBlock(pool, &blocks_[0], true, shape, x, y);
      RunBlock(pool, &blocks_[1], false, shape, y, x);
      RunBlock(pool, &blocks_[2], false, shape, x, result + begin * middle.Image());
    }
    shape->images = images.images;
    return result;
  }

  void RunStem(ThreadPool &pool, const Images &images, T *between, T *y) {
    const TimedPart part("stem", {images.images, images.height, images.width, 3});
    first_.Run(pool, images, between);
    second_.Run(pool, FirstConvolution::Output(images), between, y);
  }

  void RunTail(ThreadPool &pool, Shape shape, const T *x, float *logits) {
    const TimedPart part("tail", shape);
    T *const z = RunUnits(pool, &tail_, Before::kNothing, &shape, x, nullptr);
    float *const features = features_.Need<float>(shape.images * shape.channels);
    RectifiedMean(pool, shape, z, features);
    head_.Run(pool, {shape.images, 1, 1, shape.channels}, features, logits);
  }

  // The stem leaves its last ReLU to the first block. y may be x where the block is not strided.
  void RunBlock(ThreadPool &pool, Block *block, bool rectify_skip, Shape *shape, T *x, T *y) {
    const TimedPart part(block->is_strided ? "strided block" : "block", *shape);
    if (!block->is_strided) {
      RunUnits(pool, &block->units, Before::kRelu, shape, x, y);
      return;
    }
    const Shape halved = Halved(*shape, shape->channels);
    T *const gathered = between_.Need<T>(halved.Values());
    GatherEvery2nd(pool, *shape, x, gathered, rectify_skip);
    block->skip.Run(pool, halved, gathered, y);
    const T *const z = RunUnits(pool, &block->units, Before::kRelu, shape, x, nullptr);
    MaxPoolForward<T>(pool, *shape, symmetric_, z, y, y);
    *shape = Halved(*shape, shape->channels);
  }

  // Returns where the result is; the last unit adds it to what is at `sum`, unless that is null.
  T *RunUnits(ThreadPool &pool, std::vector<FixedUnit<T>> *units, Before before, Shape *shape, const T *x, T *sum) {
    T *y = nullptr;
    for (std::size_t i = 0; i < units->size(); ++i) {
      FixedUnit<T> &unit = (*units)[i];
      const bool adds = sum && i + 1 == units->size();
      y = adds ? sum : units_[i % 2].template Need<T>(shape->Pixels() * unit.Out());
      unit.Run(pool, *shape, before, x, y, adds);
      x = y;
      before = Before::kRelu;
      shape->channels = unit.Out();
    }
    return y;
  }

  static constexpr Index kEntryBytes = 16 << 20;
  bool symmetric_;
  FirstConvolution first_;
  FixedConvolution second_, head_;
  std::vector<Block> blocks_;
  std::vector<FixedUnit<T>> tail_;
  Buffer x_, entry_, other_, between_, features_;
  Buffer units_[2];
};

}  // namespace xception
