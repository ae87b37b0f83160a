// Where the time goes, by what computes: off, as it is unless a tool asks for it, it costs a look at a flag.
#pragma once

#include <atomic>
#include <chrono>

#include "shape.h"

namespace xception {

inline std::atomic<bool> &IsProfiled() {
  static std::atomic<bool> is_profiled{false};
  return is_profiled;
}

// Kernels that several functions have a part of.
constexpr const char *kPointwiseForward = "1 x 1 convolution, forward";
constexpr const char *kConvolution3x3Forward = "3 x 3 convolution, forward";
constexpr const char *kDepthwiseForward = "depthwise 3 x 3 convolution, forward";

// What is done at least: additions and multiplications, and bytes that are read and written.
struct Cost {
  Index operations, bytes;
};

// What is timed until the next call belongs to a part of the network that reads x.
void BeginPart(const char *name, const Shape &x);
// An empty kernel stands for the whole part.
void AddToProfile(const char *kernel, const Cost &cost, std::chrono::nanoseconds time);

class Stopwatch {
 public:
  Stopwatch() : is_on_(IsProfiled()) {
    if (is_on_) {
      begin_ = std::chrono::steady_clock::now();
    }
  }
  bool IsOn() const { return is_on_; }
  std::chrono::nanoseconds Time() const { return std::chrono::steady_clock::now() - begin_; }

 private:
  bool is_on_;
  std::chrono::steady_clock::time_point begin_;
};

// Times a kernel that all threads do together, while it lives.
class Timed {
 public:
  Timed(const char *kernel, Index operations, Index bytes) : kernel_(kernel), cost_{operations, bytes} {}
  Timed(const Timed &) = delete;
  Timed &operator=(const Timed &) = delete;
  ~Timed() {
    if (watch_.IsOn()) {
      AddToProfile(kernel_, cost_, watch_.Time());
    }
  }

 private:
  const char *kernel_;
  Cost cost_;
  Stopwatch watch_;
};

// Times a kernel that each thread does for pieces of its own: all their time, by the number of threads.
class TimedPieces {
 public:
  TimedPieces(const char *kernel, Index operations, Index bytes, int threads)
      : kernel_(kernel), cost_{operations, bytes}, threads_(threads), is_on_(IsProfiled()) {}
  TimedPieces(const TimedPieces &) = delete;
  TimedPieces &operator=(const TimedPieces &) = delete;
  ~TimedPieces() {
    if (is_on_) {
      AddToProfile(kernel_, cost_, std::chrono::nanoseconds(time_ / threads_));
    }
  }

  // Does a piece.
  template <typename Do>
  void Time(const Do &piece) {
    const Stopwatch watch;
    piece();
    if (watch.IsOn()) {
      time_ += watch.Time().count();
    }
  }

 private:
  const char *kernel_;
  Cost cost_;
  int threads_;
  bool is_on_;
  std::atomic<std::int64_t> time_{0};
};

// Times a part of the network, while it lives.
class TimedPart {
 public:
  TimedPart(const char *name, const Shape &x) {
    if (watch_.IsOn()) {
      BeginPart(name, x);
    }
  }
  TimedPart(const TimedPart &) = delete;
  TimedPart &operator=(const TimedPart &) = delete;
  ~TimedPart() {
    if (watch_.IsOn()) {
      AddToProfile("", {}, watch_.Time());
    }
  }

 private:
  Stopwatch watch_;
};

}  // namespace xception
