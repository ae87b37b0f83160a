// Memory for tensors that are needed within a call alone; there is one call at a time.
#pragma once

#include <algorithm>
#include <array>

#include "buffer.h"

namespace xception {

enum class Space { kGradient, kBelow, kThird, kFourth };
constexpr std::size_t kSpaces = 4;

struct Memory {
  void *begin = nullptr;
  std::size_t bytes = 0;
};

// What the caller lends, which has the first ones for the time of the call.
inline std::array<Memory, kSpaces> &LentSpaces() {
  static std::array<Memory, kSpaces> lent;
  return lent;
}

class Lend {
 public:
  explicit Lend(const std::array<Memory, 2> &spaces) { std::copy(spaces.begin(), spaces.end(), LentSpaces().begin()); }
  ~Lend() { LentSpaces().fill({}); }
  Lend(const Lend &) = delete;
  Lend &operator=(const Lend &) = delete;
};

// Place for `count` values, of any content; what has not been lent stays for the next call.
template <typename T>
T *Workspace(Space space, Index count) {
  static auto &spaces = *new std::array<Buffer, kSpaces>;  // to the end, when other threads may still be at work
  const auto number = static_cast<std::size_t>(space);
  const Memory &lent = LentSpaces()[number];
  return lent.bytes >= count * sizeof(T) ? static_cast<T *>(lent.begin) : spaces[number].Need<T>(count);
}

}  // namespace xception
