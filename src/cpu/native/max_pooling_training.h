// The max pooling of a block in training: between the norm of the last unit and the residual sum.
#pragma once

#include "batch_norm_backward.h"
#include "max_pooling.h"

namespace xception {

// What forward writes for backward to read, of the shape of y.
template <typename T>
struct KeptMaxima {
  std::uint8_t *places;  // of the maxima in their windows, 0 to 8
  T *values;             // there, before the norm
};

// y: the maxima of the normalised z, plus the normalised `shortcut`.
template <typename T>
void NormMaxPoolForward(ThreadPool &pool, const Pooling &pooling, const Normalisation &norm, const T *z,
                        const Normalisation &shortcut_norm, const T *shortcut, T *y, const KeptMaxima<T> &kept) {
  const Timed timed("max pooling, forward", 0,
                    (pooling.in.Values() + 3 * pooling.out.Values()) * Index(sizeof(T)) + pooling.out.Values());
  const Scaling scaled = norm.Values(), shortcut_scaled = shortcut_norm.Values();
  ForWindows(pool, pooling, sizeof(T), [&](const WindowPixels &pixels, Index to) {
    ForChannels(pooling.in.channels, [=, &pixels](Index channel, auto vector) {
      using V = decltype(vector);
      const V scale = V::Load(scaled.scale + channel), shift = V::Load(scaled.shift + channel);
      V value = V::Load(z + pixels.offsets[0] + channel), most = MultiplyAdd(value, scale, shift);
      typename V::Words place = typename V::Words{} + pixels.places[0];
      const auto take = [&](Index i) {
        const V here = V::Load(z + pixels.offsets[i] + channel), normalised = MultiplyAdd(here, scale, shift);
        const typename V::Mask larger = IsLarger(normalised, most);
        most = Select(larger, normalised, most);
        value = Select(larger, here, value);
        place = larger ? typename V::Words{} + pixels.places[i] : place;
      };
      ForOthers(pixels.count, take);
      const Index i = to + channel;
      V::StoreBytes(place, kept.places + i);
      value.Store(kept.values + i);
      (most + shortcut_scaled(V::Load(shortcut + i), channel)).Store(y + i);
    });
  });
}

// The windows that a pixel of the image is in: where their values begin, and its place in them, 0 to 8.
struct PixelWindows {
  std::array<Index, 4> offsets;
  std::array<std::uint32_t, 4> places;
  Index count = 0;
  PixelWindows(const Pooling &pooling, Index image, Index row, Index column) {
    const Index y = row + pooling.above, x = column + pooling.left;
    for (Index i = y % 2; i < 3; i += 2) {
      for (Index j = x % 2; j < 3; j += 2) {
        const Index window_row = (y - i) / 2, window_column = (x - j) / 2;
        if (y >= i && x >= j && window_row < pooling.out.height && window_column < pooling.out.width) {
          offsets[count] = image * pooling.out.Image() + window_row * pooling.out.Row() +
                           window_column * pooling.out.channels;
          places[count++] = static_cast<std::uint32_t>(i * 3 + j);
        }
      }
    }
  }
};

// dz: the gradient of z from that of y; `norm` with the sums over the maxima, which are all that have a gradient.
template <typename T>
void NormMaxPoolBackward(ThreadPool &pool, const Pooling &pooling, const NormBackward &norm, const T *z,
                         const std::uint8_t *places, const T *dy, T *dz) {
  const Shape &in = pooling.in;
  const Timed timed("max pooling, backward", 0,
                    (2 * in.Values() + pooling.out.Values()) * Index(sizeof(T)) + pooling.out.Values());
  const auto pieces = CutIntoRows(in.images, in.height, in.Row() * 3 * Index(sizeof(T)));
  pool.ForEach(Index(pieces.size()), [&, gradient_of = norm.Gradient()](Index piece) {
    const Rows rows = pieces[piece];
    for (Index row = rows.begin; row < rows.end; ++row) {
      Index to = rows.image * in.Image() + row * in.Row();
      for (Index column = 0; column < in.width; ++column, to += in.channels) {
        const PixelWindows windows(pooling, rows.image, row, column);
        const auto pixel = [&](auto count) {
          ForChannels(in.channels, [=](Index channel, auto vector) {
            using V = decltype(vector);
            V gradient = V::All(0);
#pragma GCC unroll 4
            for (Index i = 0; i < decltype(count)::value; ++i) {
              const Index window = windows.offsets[i] + channel;
              const typename V::Mask here = V::LoadBytes(places + window) == windows.places[i];
              gradient = gradient + Select(here, V::Load(dy + window), V::All(0));
            }
            gradient_of(gradient, V::Load(z + to + channel), channel).Store(dz + to + channel);
          });
        };
        if (windows.count == 1) {
          pixel(std::integral_constant<Index, 1>());
        } else if (windows.count == 2) {
          pixel(std::integral_constant<Index, 2>());
        } else {
          pixel(std::integral_constant<Index, 4>());
        }
      }
    }
  });
}

}  // namespace xception
