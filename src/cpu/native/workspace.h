// Memory for tensors that are needed within a call alone. It stays for the next call, so there is one call at a time.
#pragma once

#include <array>

#include "buffer.h"

namespace xception {

enum class Space { kGradient, kBelow, kThird, kFourth };

inline Buffer &BufferOf(Space space) {
  static auto &spaces = *new std::array<Buffer, 4>;  // stays to the end, when other threads may still be at work
  return spaces[static_cast<std::size_t>(space)];
}

// Place for `count` values, of any content.
template <typename T>
T *Workspace(Space space, Index count) {
  return BufferOf(space).Need<T>(count);
}

}  // namespace xception
