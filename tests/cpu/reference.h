// The network's layers as their definitions say, in double precision, with gradients: slow, and nothing shared with the
// kernels that are compared with it.
#pragma once

#include <cmath>
#include <functional>
#include <memory>
#include <vector>

#include "checks.h"

namespace xception {

struct Tensor {
  Shape shape;
  std::vector<double> values, gradients;
  double &At(Index n, Index h, Index w, Index c) { return values[Place(n, h, w, c)]; }
  double &GradientAt(Index n, Index h, Index w, Index c) { return gradients[Place(n, h, w, c)]; }
  Index Place(Index n, Index h, Index w, Index c) const {
    return ((n * shape.height + h) * shape.width + w) * shape.channels + c;
  }
};
using Node = std::shared_ptr<Tensor>;

// Layers write down how their gradients go, and Backward() has them in the other order.
class Reference {
 public:
  Node Make(const Shape &shape) {
    auto node = std::make_shared<Tensor>();
    node->shape = shape;
    node->values.assign(shape.Values(), 0);
    node->gradients.assign(shape.Values(), 0);
    return node;
  }
  template <class Values>
  Node Input(const Shape &shape, const Values &values) {
    Node node = Make(shape);
    node->values.assign(values.begin(), values.end());
    return node;
  }
  // Weights of (out, in, k, k), the gradients of other parameters likewise.
  template <class Values>
  Node Parameter(const Values &values) {
    return Input({1, 1, 1, static_cast<Index>(values.size())}, values);
  }

  void Backward(const Node &y, const std::vector<double> &dy) {
    y->gradients = dy;
    while (!steps_.empty()) {
      steps_.back()();
      steps_.pop_back();
    }
  }

  // What is left of values that are kept as T, or their decisions, which ReLU and pooling are, would differ.
  template <class T>
  Node Kept(const Node &x) {
    Node y = Make(x->shape);
    for (std::size_t i = 0; i < x->values.size(); ++i) {
      T narrow;
      Set(narrow, x->values[i]);
      y->values[i] = ToFloat(narrow);
    }
    steps_.push_back([x, y] {
      for (std::size_t i = 0; i < x->values.size(); ++i) x->gradients[i] += y->gradients[i];
    });
    return y;
  }

  Node Relu(const Node &x) {
    Node y = Make(x->shape);
    for (std::size_t i = 0; i < x->values.size(); ++i) {
      y->values[i] = x->values[i] < 0 ? 0 : x->values[i];  // NaN stays
    }
    steps_.push_back([x, y] {
      for (std::size_t i = 0; i < x->values.size(); ++i) {
        x->gradients[i] += y->values[i] > 0 ? y->gradients[i] : 0;
      }
    });
    return y;
  }

  Node Add(const Node &a, const Node &b) {
    Node y = Make(a->shape);
    for (std::size_t i = 0; i < y->values.size(); ++i) {
      y->values[i] = a->values[i] + b->values[i];
    }
    steps_.push_back([a, b, y] {
      for (std::size_t i = 0; i < y->values.size(); ++i) {
        a->gradients[i] += y->gradients[i];
        b->gradients[i] += y->gradients[i];
      }
    });
    return y;
  }

  // Weight (out, in, k, k), or (C, 1, k, k) where each channel is for itself.
  Node Convolve(const Node &x, const Node &weight, Index out, Index kernel, Index stride, Index padding,
                bool depthwise) {
    const Shape &in = x->shape;
    const auto size = [&](Index length) { return (length + 2 * padding - kernel) / stride + 1; };
    Node y = Make({in.images, size(in.height), size(in.width), out});
    // Calls work(place in x, in weight, in y) for each product.
    const auto products = [x, y, kernel, stride, padding, depthwise](const auto &work) {
      const Shape &from = x->shape, &to = y->shape;
      const Index ins = depthwise ? 1 : from.channels;
      for (Index n = 0; n < to.images; ++n)
        for (Index h = 0; h < to.height; ++h)
          for (Index w = 0; w < to.width; ++w)
            for (Index p = 0; p < kernel; ++p)
              for (Index q = 0; q < kernel; ++q) {
                const Index row = h * stride + p - padding, column = w * stride + q - padding;
                if (row < 0 || column < 0 || row >= from.height || column >= from.width) continue;
                for (Index o = 0; o < to.channels; ++o)
                  for (Index i = 0; i < ins; ++i)
                    work(x->Place(n, row, column, depthwise ? o : i), ((o * ins + i) * kernel + p) * kernel + q,
                         y->Place(n, h, w, o));
              }
    };
    products([&](Index i, Index j, Index k) { y->values[k] += x->values[i] * weight->values[j]; });
    steps_.push_back([=] {
      products([&](Index i, Index j, Index k) {
        x->gradients[i] += y->gradients[k] * weight->values[j];
        weight->gradients[j] += y->gradients[k] * x->values[i];
      });
    });
    return y;
  }
  Node Depthwise(const Node &x, const Node &weight) { return Convolve(x, weight, x->shape.channels, 3, 1, 1, true); }
  Node Pointwise(const Node &x, const Node &weight, Index out, Index stride = 1) {
    return Convolve(x, weight, out, 1, stride, 0, false);
  }

  struct Statistics {
    std::vector<double> mean, variance;  // biased
  };
  // By the batch's statistics, which are written to `found`, or by those that are given.
  Node Norm(const Node &x, const Node &gamma, const Node &beta, const Statistics *given, Statistics *found) {
    const Index channels = x->shape.channels, pixels = x->shape.Pixels();
    Statistics by{std::vector<double>(channels), std::vector<double>(channels)};
    for (Index c = 0; c < channels; ++c) {
      for (Index i = 0; i < pixels; ++i) by.mean[c] += x->values[i * channels + c] / double(pixels);
      for (Index i = 0; i < pixels; ++i) {
        const double difference = x->values[i * channels + c] - by.mean[c];
        by.variance[c] += difference * difference / double(pixels);
      }
    }
    if (given) by = *given;
    if (found) *found = by;
    Node y = Make(x->shape);
    const auto normalised = [x, by, channels](Index i) {
      return (x->values[i] - by.mean[i % channels]) / std::sqrt(by.variance[i % channels] + 1e-5);
    };
    for (Index i = 0; i < pixels * channels; ++i) {
      y->values[i] = normalised(i) * gamma->values[i % channels] + beta->values[i % channels];
    }
    const bool frozen = given != nullptr;
    steps_.push_back([=] {
      for (Index c = 0; c < channels; ++c) {
        double sum = 0, product = 0;
        for (Index i = c; i < pixels * channels; i += channels) {
          sum += y->gradients[i];
          product += y->gradients[i] * normalised(i);
        }
        gamma->gradients[c] += product;
        beta->gradients[c] += sum;
        const double scale = gamma->values[c] / std::sqrt(by.variance[c] + 1e-5);
        for (Index i = c; i < pixels * channels; i += channels) {
          const double rest = frozen ? 0 : (sum + normalised(i) * product) / double(pixels);
          x->gradients[i] += scale * (y->gradients[i] - rest);
        }
      }
    });
    return y;
  }

  Node MaxPool(const Node &x, bool symmetric) {
    const Shape &in = x->shape;
    Node y = Make({in.images, (in.height + 1) / 2, (in.width + 1) / 2, in.channels});
    const Index above = symmetric || in.height % 2 ? 1 : 0, left = symmetric || in.width % 2 ? 1 : 0;
    std::vector<Index> places;
    for (Index n = 0; n < y->shape.images; ++n)
      for (Index h = 0; h < y->shape.height; ++h)
        for (Index w = 0; w < y->shape.width; ++w)
          for (Index c = 0; c < in.channels; ++c) {
            Index most = -1;
            for (Index row = h * 2 - above; row < h * 2 - above + 3; ++row)
              for (Index column = w * 2 - left; column < w * 2 - left + 3; ++column) {
                if (row < 0 || column < 0 || row >= in.height || column >= in.width) continue;
                const Index here = x->Place(n, row, column, c);
                if (most < 0 || x->values[here] > x->values[most] || std::isnan(x->values[here])) most = here;
              }
            places.push_back(most);
            y->At(n, h, w, c) = x->values[most];
          }
    steps_.push_back([x, y, places] {
      for (std::size_t i = 0; i < places.size(); ++i) x->gradients[places[i]] += y->gradients[i];
    });
    return y;
  }

  // Of the pixels of each image.
  Node Average(const Node &x) {
    const Index channels = x->shape.channels, pixels = x->shape.height * x->shape.width;
    Node y = Make({x->shape.images, 1, 1, channels});
    const auto place = [=](Index i) { return i / (pixels * channels) * channels + i % channels; };
    for (Index i = 0; i < x->shape.Values(); ++i) y->values[place(i)] += x->values[i] / double(pixels);
    steps_.push_back([=] {
      for (Index i = 0; i < x->shape.Values(); ++i) x->gradients[i] += y->gradients[place(i)] / double(pixels);
    });
    return y;
  }

 private:
  std::vector<std::function<void()>> steps_;
};

}  // namespace xception
