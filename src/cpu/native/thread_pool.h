// Threads that stay, for the kernels and for oneDNN.
#pragma once

#include "shape.h"

namespace xception {

class ThreadPool {
 public:
  explicit ThreadPool(int threads) : threads_(threads) {}
  int Threads() const { return threads_; }

  // Calls work(0) .. work(count - 1), on all threads, and returns when all are done.
  template <typename Work>
  void ForEach(Index count, const Work &work) {
    for (Index i = 0; i < count; ++i) {
      work(i);
    }
  }

 private:
  int threads_;
};

}  // namespace xception
