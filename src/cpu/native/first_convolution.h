// The first convolution in evaluation: 3x3 by 2 of images as they come, with bias and ReLU, in one pass.
#pragma once

#include <algorithm>
#include <vector>

#include "folding.h"
#include "pieces.h"
#include "profile.h"
#include "vector.h"

namespace xception {

// Images of 3 channels: bytes (N, H, W, 3), or normalised float32 (N, 3, H, W).
struct Images {
  const void *data;
  bool are_bytes;
  Index images, height, width;

  Images Part(Index begin, Index count) const {
    const Index bytes = begin * 3 * height * width * (are_bytes ? 1 : Index(sizeof(float)));
    return {static_cast<const char *>(data) + bytes, are_bytes, count, height, width};
  }

  // Writes one row's normalised values, the channels of a pixel beside one another.
  void ReadRow(Index image, Index row, float *to) const {
    if (are_bytes) {
      const std::uint8_t *from = static_cast<const std::uint8_t *>(data) + (image * height + row) * width * 3;
      for (Index i = 0; i < width * 3; ++i) {
        to[i] = (static_cast<float>(from[i]) - 127.5F) / 127.5F;
      }
      return;
    }
    for (Index channel = 0; channel < 3; ++channel) {
      const float *from = static_cast<const float *>(data) + ((image * 3 + channel) * height + row) * width;
      for (Index i = 0; i < width; ++i) {
        to[i * 3 + channel] = from[i];
      }
    }
  }
};

class FirstConvolution {
 public:
  static constexpr Index kOut = 32;

  // folded: weight (32, 3, 3, 3), bias (32)
  explicit FirstConvolution(const Folded &folded) : bias_(folded.bias), weight_(27 * kOut) {
    for (Index out = 0; out < kOut; ++out) {
      for (Index in = 0; in < 3; ++in) {
        for (Index place = 0; place < 9; ++place) {
          weight_[(place * 3 + in) * kOut + out] = folded.weight[(out * 3 + in) * 9 + place];
        }
      }
    }
  }

  static Shape Output(const Images &images) {
    return {images.images, (images.height - 1) / 2, (images.width - 1) / 2, kOut};
  }

  // y: of Output; images must be so wide that it has kTogether columns or more.
  template <class T>
  void Run(ThreadPool &pool, const Images &images, T *y) const {
    const Shape out = Output(images);
    const Index values = images.images * 3 * images.height * images.width;
    const Timed timed(kConvolution3x3Forward, 2 * 27 * out.Values(),
                      values * (images.are_bytes ? 1 : Index(sizeof(float))) + out.Values() * Index(sizeof(T)));
    const auto pieces = CutIntoRows(out.images, out.height, out.Row() * Index(sizeof(T)));
    pool.ForEach(Index(pieces.size()), [&](Index piece) {
      const Rows rows = pieces[piece];
      const Index row_values = images.width * 3;
      std::vector<float> three(static_cast<std::size_t>(3 * row_values));
      for (Index row = rows.begin; row < rows.end; ++row) {
        for (Index i = row > rows.begin ? 1 : 0; i < 3; ++i) {
          images.ReadRow(rows.image, row * 2 + i, three.data() + (row * 2 + i) % 3 * row_values);
        }
        const float *in[3];
        for (Index i = 0; i < 3; ++i) {
          in[i] = three.data() + (row * 2 + i) % 3 * row_values;
        }
        T *to = y + rows.image * out.Image() + row * out.Row();
        for (Index column = 0; column < out.width; column += kTogether) {
          Together(in, std::min(column, out.width - kTogether), to);  // the last ones some twice
        }
      }
    });
  }

 private:
  static constexpr Index kTogether = 8;

  template <class T>
  void Together(const float *const (&in)[3], Index column, T *row) const {
    ForChannels(kOut, [&](Index channel, auto vector) {
      using V = decltype(vector);
      V sums[kTogether];
      for (V &sum : sums) {
        sum = V::Load(bias_.data() + channel);
      }
      for (Index i = 0; i < 3; ++i) {
        const float *from = in[i] + column * 6;
        for (Index j = 0; j < 9; ++j) {
          const V weight = V::Load(weight_.data() + (i * 9 + j) * kOut + channel);
          for (Index pixel = 0; pixel < kTogether; ++pixel) {
            sums[pixel] = MultiplyAdd(V::All(from[pixel * 6 + j]), weight, sums[pixel]);
          }
        }
      }
      for (Index pixel = 0; pixel < kTogether; ++pixel) {
        Max(V::All(0), sums[pixel]).Store(row + (column + pixel) * kOut + channel);
      }
    });
  }

  std::vector<float> bias_, weight_;
};

}  // namespace xception
