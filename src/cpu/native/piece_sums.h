// Sums over the pixels of tensors.
#pragma once

#include <vector>

#include "pieces.h"
#include "vector.h"

namespace xception {

// Adds up what pieces of work have summed in single precision: `values` has `count` of each, one piece after another.
inline std::vector<double> Total(ThreadPool &pool, const std::vector<float> &values, Index count) {
  constexpr Index kTogether = 1024;
  std::vector<double> total(count);
  pool.ForEach((count + kTogether - 1) / kTogether, [&](Index part) {
    const Index begin = part * kTogether, end = std::min(begin + kTogether, count);
    for (const float *piece = values.data(); piece < values.data() + values.size(); piece += count) {
      for (Index i = begin; i < end; ++i) {
        total[i] += piece[i];
      }
    }
  });
  return total;
}

// Of each channel two sums over all pixels, by the piece of pixels: single precision within a piece alone.
struct PieceSums {
  Index pixels, channels, pieces;
  std::vector<float> values;  // (pieces, 2, C)
  PieceSums(Index pixels, Index channels)
      : pixels(pixels), channels(channels), pieces(PiecesOf(pixels)), values(pieces * 2 * channels) {}
  float *First(Index piece) { return &values[piece * 2 * channels]; }
  float *Second(Index piece) { return First(piece) + channels; }
  Index Begin(Index piece) const { return pixels * piece / pieces; }
  Index Count(Index piece) const { return Begin(piece + 1) - Begin(piece); }

  // read(first pixel, count) brings pixels into the cache, which hold so many bytes each. term(channel, first pixel of
  // the piece, a vector) gives what is called with (pixel, &first, &second) to add to both sums.
  template <typename Read, typename Term>
  void Add(ThreadPool &pool, Index bytes_of_pixel, const Read &read, const Term &term) {
    constexpr Index kBytes = 32 << 10;
    const Index together = std::max<Index>(kBytes / bytes_of_pixel, 4);
    pool.ForEach(pieces, [&](Index piece) {
      const Index begin = Begin(piece), end = Begin(piece + 1);
      for (Index pixel = begin; pixel < end; pixel += together) {
        const Index last = std::min(pixel + together, end);
        read(pixel, last - pixel);
        ForChannels(channels, [=, firsts = First(piece), seconds = Second(piece)](Index channel, auto vector) {
          using V = decltype(vector);
          V first = V::Load(firsts + channel), second = V::Load(seconds + channel);
          const auto add = term(channel, begin, vector);
          for (Index i = pixel; i < last; ++i) {
            add(i, &first, &second);
          }
          first.Store(firsts + channel);
          second.Store(seconds + channel);
        });
      }
    });
  }
};

}  // namespace xception
