// Memory that grows and stays.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

#include "shape.h"

namespace xception {

// Begins at a multiple of 64 bytes; what was in it is lost when it grows.
class Buffer {
 public:
  void *Need(std::size_t bytes) {
    if (bytes > bytes_ || !memory_) {
      memory_.reset();
      bytes_ = 0;
      const std::size_t alignment = bytes < 2 * kHugePage ? kLine : kHugePage;
      const std::size_t whole = (bytes / alignment + 1) * alignment;
      memory_.reset(std::aligned_alloc(alignment, whole));
      if (!memory_) {
        throw std::bad_alloc();
      }
      if (alignment == kHugePage) {
        madvise(memory_.get(), whole, MADV_HUGEPAGE);  // fewer page faults; no matter if it is refused
      }
      bytes_ = bytes;
    }
    return memory_.get();
  }
  template <class T>
  T *Need(Index count) {
    return static_cast<T *>(Need(static_cast<std::size_t>(count) * sizeof(T)));
  }
  void *Get() const { return memory_.get(); }

 private:
  static constexpr std::size_t kLine = 64, kHugePage = 2 << 20;
  struct Free {
    void operator()(void *memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  std::size_t bytes_ = 0;
};

}  // namespace xception
