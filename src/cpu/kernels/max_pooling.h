// The 3 x 3 max pooling of stride 2 with padding "same"; of equal values in a window the first one counts.
#pragma once

#include "tensor.h"

// A plane of which even and odd columns lie apart, so that what neighbouring windows need is side by side. The padding
// repeats the edge, which changes no maximum: half of it, rounded down, comes before.
struct Halves {
  Index height, width, windows, above, left;  // `windows` in a row
  std::vector<float> values;
  Halves(const Shape &in, const Shape &out)
      : height(in.height),
        width(in.width),
        windows(out.width),
        above((out.height * 2 + 1 - in.height) / 2),
        left((out.width * 2 + 1 - in.width) / 2),
        values((out.height * 2 + 1) * (windows * 2 + 1)) {}

  Index Rows() const { return static_cast<Index>(values.size()) / (windows * 2 + 1); }
  float *Even(Index row) { return &values[row * (windows * 2 + 1)]; }
  float *Odd(Index row) { return Even(row) + windows + 1; }

  void Fill(const float *plane) {
    for (Index row = 0; row < Rows(); ++row) {
      const float *from = plane + std::clamp<Index>(row - above, 0, height - 1) * width;
      float *__restrict even = Even(row), *__restrict odd = Odd(row);
      even[0] = from[0];
      even[windows] = from[width - 1];
      for (Index i = left; i < windows; ++i) {
        even[i] = from[i * 2 - left];
      }
      for (Index i = 0; i < windows; ++i) {
        odd[i] = from[i * 2 + 1 - left];
      }
    }
  }

  // Takes the plane out again, and adds what the padding above and on the left has to the edge that it repeats.
  // Nothing is ever in the padding below and on the right: an equal value comes before it.
  void TakeSum(float *plane) {
    if (above) {
      std::transform(Even(0), Even(1), Even(1), Even(1), [](float a, float b) { return a + b; });
    }
    for (Index row = above; row < above + height; ++row, plane += width) {
      const float *even = Even(row), *odd = Odd(row);
      for (Index i = left; i < windows; ++i) {
        plane[i * 2 - left] = even[i];
      }
      for (Index i = 0; i < windows; ++i) {
        plane[i * 2 + 1 - left] = odd[i];
      }
      plane[0] += left ? even[0] : 0;
    }
  }
};

// For the windows of one row, their maxima and the places of these, 0 to 8.
struct Maxima {
  std::vector<float> values;
  std::vector<std::int32_t> places;
  explicit Maxima(Index windows) : values(windows), places(windows) {}

  void Find(Halves *in, Index row) {
    float *__restrict most = values.data();
    std::int32_t *__restrict place = places.data();
    const Index windows = in->windows;
    std::copy_n(in->Even(row * 2), windows, most);
    std::fill_n(place, windows, 0);
    for (std::int32_t here = 1; here < 9; ++here) {
      const float *__restrict value = At(in, row, here);
      for (Index i = 0; i < windows; ++i) {
        place[i] = value[i] > most[i] ? here : place[i];
        most[i] = value[i] > most[i] ? value[i] : most[i];
      }
    }
  }

  // Where the values of this place begin, for the windows of a row.
  static float *At(Halves *halves, Index row, std::int32_t place) {
    const Index y = row * 2 + place / 3, x = place % 3;
    return x == 1 ? halves->Odd(y) : halves->Even(y) + x / 2;
  }
};

inline void MaxPool(const float *x, float *y, const Shape &in, const Shape &out) {
  InParallel(in.images * in.channels, [&](Index first, Index last) {
    Halves values(in, out);
    Maxima maxima(out.width);
    for (Index plane = first; plane < last; ++plane) {
      values.Fill(x + plane * in.Plane());
      for (Index row = 0; row < out.height; ++row) {
        maxima.Find(&values, row);
        std::copy(maxima.values.begin(), maxima.values.end(), y + plane * out.Plane() + row * out.width);
      }
    }
  });
}

inline void MaxPoolGradient(const float *x, const float *dy, float *dx, const Shape &in, const Shape &out) {
  InParallel(in.images * in.channels, [&](Index first, Index last) {
    Halves values(in, out), gradient(in, out);
    Maxima maxima(out.width);
    for (Index plane = first; plane < last; ++plane) {
      values.Fill(x + plane * in.Plane());
      std::fill(gradient.values.begin(), gradient.values.end(), 0.0F);
      for (Index row = 0; row < out.height; ++row) {
        maxima.Find(&values, row);
        const float *from = dy + plane * out.Plane() + row * out.width;
        for (std::int32_t place = 0; place < 9; ++place) {
          float *__restrict to = Maxima::At(&gradient, row, place);
          for (Index i = 0; i < out.width; ++i) {
            to[i] += maxima.places[i] == place ? from[i] : 0.0F;
          }
        }
      }
      gradient.TakeSum(dx + plane * in.Plane());
    }
  });
}
