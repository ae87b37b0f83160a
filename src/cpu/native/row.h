// Tensors that are worked on as if they were one long row of values, a chunk of it at a time.
#pragma once

#include <algorithm>
#include <vector>

#include "shape.h"

namespace xception {

// What a rank gives of one tensor, and where it wants the mean.
struct Reduced {
  const float *own;
  float *mean;
  Index count;
};

// Values `begin` to `end` - 1 of a chunk.
struct Range {
  Index begin, end;
};

class Row {
 public:
  static constexpr Index kChunk = 128 << 10;  // values; what a rank shows of it stays in the second cache of its core

  explicit Row(const std::vector<Reduced> &tensors) {
    for (const Reduced &tensor : tensors) {
      if (tensor.count > 0) {
        tensors_.push_back(tensor);
        begins_.push_back(count_);
        count_ += tensor.count;
      }
    }
  }
  Index Count() const { return count_; }
  Index Chunks() const { return (count_ + kChunk - 1) / kChunk; }
  Index CountOf(Index chunk) const { return std::min(kChunk, count_ - chunk * kChunk); }

  // Calls work(own, mean, where in the chunk, count) for what tensors have of a range of a chunk.
  template <typename Work>
  void ForTensors(Index chunk, const Range &range, const Work &work) const {
    const Index first = chunk * kChunk;
    const auto behind = std::upper_bound(begins_.begin(), begins_.end(), first + range.begin);
    auto i = static_cast<std::size_t>(behind - begins_.begin()) - 1;
    for (Index at = range.begin; at < range.end; ++i) {
      const Index skipped = first + at - begins_[i];
      const Index count = std::min(tensors_[i].count - skipped, range.end - at);
      work(tensors_[i].own + skipped, tensors_[i].mean + skipped, at, count);
      at += count;
    }
  }

 private:
  std::vector<Reduced> tensors_;
  std::vector<Index> begins_;
  Index count_ = 0;
};

}  // namespace xception
