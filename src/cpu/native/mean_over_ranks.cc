// The ranks that this process shares memory with, and the operator by which their gradients are averaged.
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>

#include "all_reduce.h"
#include "entry.h"

namespace xception {
namespace {

// Of this process; never destroyed, as its end is what tells the others that it has ended.
struct Joined {
  std::unique_ptr<AllReduce> ranks;  // behind the lock of the process

  static Joined &Get() {
    static Joined &joined = *[] {
      auto *made = new Joined;
      pthread_atfork(nullptr, nullptr, [] {
        if (Get().ranks) {
          Get().ranks->CloseFile();
        }
      });
      return made;
    }();
    return joined;
  }
};

}  // namespace
}  // namespace xception

using namespace xception;

#pragma GCC visibility push(default)
extern "C" {

// The bytes, all zero, of the file that so many ranks share.
Index XceptionSharedBytes(int ranks) { return static_cast<Index>(AllReduce::BytesOf(ranks)); }

// Makes this process a rank of those that share a file, which it opens anew. Returns 0, or 1 after a failure, which
// `error` then tells in one line.
int XceptionJoin(const char *path, int rank, int ranks, char *error, Index error_size) {
  return Enter(error, error_size,
               [&](ThreadPool &) { Joined::Get().ranks = std::make_unique<AllReduce>(path, rank, ranks); });
}

void XceptionLeave() {
  Enter(nullptr, 0, [](ThreadPool &) { Joined::Get().ranks.reset(); });
}

// How many ranks share memory with this one, itself included.
int XceptionRanks() {
  int ranks = 1;
  Enter(nullptr, 0, [&](ThreadPool &) { ranks = Joined::Get().ranks ? Joined::Get().ranks->Ranks() : 1; });
  return ranks;
}

// An operator of MindSpore's: any number of float32 tensors -> their means over all ranks.
int MeanOverRanks(int count, void **tensors, int *dimensions, Index **sizes, const char **types, void *, void *) {
  return EnterOperator("the mean of the gradients", [&](ThreadPool &pool) {
    if (!Joined::Get().ranks) {
      throw std::logic_error("the ranks share no memory");
    }
    std::vector<Reduced> reduced;
    for (int i = 0; i < count / 2; ++i) {
      if (std::strcmp(types[i], "float32") != 0) {
        throw std::invalid_argument(std::string("there is one of ") + types[i] + ", which is not float32");
      }
      const Index values = std::accumulate(sizes[i], sizes[i] + dimensions[i], Index{1}, std::multiplies<>());
      reduced.push_back({static_cast<const float *>(tensors[i]), static_cast<float *>(tensors[count / 2 + i]), values});
    }
    Joined::Get().ranks->Mean(pool, reduced);
  });
}
}
#pragma GCC visibility pop
