// Sums over the pixels of tensors.
#pragma once

#include <vector>

#include "pieces.h"
#include "vector.h"

namespace xception {

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

  // term(channel, first pixel of the piece, a vector) gives what is called with (pixel, &first, &second) to add to both.
  template <typename Term>
  void Add(ThreadPool &pool, const Term &term) {
    constexpr Index kTogether = 4;  // pixels, whose sums stay in registers
    pool.ForEach(pieces, [&](Index piece) {
      const Index begin = Begin(piece), end = Begin(piece + 1);
      for (Index pixel = begin; pixel < end; pixel += kTogether) {
        const Index count = std::min(kTogether, end - pixel);
        ForChannels(channels, [&](Index channel, auto vector) {
          using V = decltype(vector);
          V first = V::Load(First(piece) + channel), second = V::Load(Second(piece) + channel);
          const auto add = term(channel, begin, vector);
          for (Index i = 0; i < count; ++i) {
            add(pixel + i, &first, &second);
          }
          first.Store(First(piece) + channel);
          second.Store(Second(piece) + channel);
        });
      }
    });
  }
};

}  // namespace xception
