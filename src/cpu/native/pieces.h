// How the work on a tensor is cut into pieces for the threads: small enough for the cache of a core.
#pragma once

#include <algorithm>
#include <vector>

#include "shape.h"
#include "thread_pool.h"

namespace xception {

// Rows `begin` to `end` - 1 of one image.
struct Rows {
  Index image, begin, end;
};

// All rows of `images` images, so many together that they take about half of a core's second cache.
inline std::vector<Rows> CutIntoRows(Index images, Index height, Index bytes_of_row) {
  constexpr Index kBytes = 384 << 10;
  const Index rows = std::clamp<Index>(kBytes / std::max<Index>(bytes_of_row, 1), 1, height);
  const Index parts = (height + rows - 1) / rows;
  std::vector<Rows> pieces;
  for (Index image = 0; image < images; ++image) {
    for (Index part = 0; part < parts; ++part) {
      pieces.push_back({image, height * part / parts, height * (part + 1) / parts});
    }
  }
  return pieces;
}

// Few enough that the sums of all pieces are little work to add, and no fewer than any machine has threads for.
inline Index PiecesOf(Index pixels) { return std::clamp<Index>(pixels / 64, 1, 64); }

// Calls work(pixel) for each.
template <typename Work>
void ForPixels(ThreadPool &pool, Index pixels, const Work &work) {
  const Index pieces = PiecesOf(pixels);
  pool.ForEach(pieces, [&](Index piece) {
    for (Index pixel = pixels * piece / pieces; pixel < pixels * (piece + 1) / pieces; ++pixel) {
      work(pixel);
    }
  });
}

}  // namespace xception
