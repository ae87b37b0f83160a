// The operators that MindSpore's ops.Custom finds by name. Each gets all tensors and their shapes, inputs first, and
// returns 0; src/cpu/cells.py has the Python side of each.
#include "batch_norm.h"
#include "depthwise.h"
#include "max_pooling.h"
#include "unfold.h"

namespace {

using Float = const float *;

Float Input(void **tensors, int index) { return static_cast<Float>(tensors[index]); }
float *Output(void **tensors, int index) { return static_cast<float *>(tensors[index]); }

// Of a batch norm's tensors: the moving statistics from `before`, four outputs from `after`.
Statistics StatisticsOf(void **tensors, int before, int after) {
  return {Output(tensors, after),      Output(tensors, after + 1), Input(tensors, before),
          Input(tensors, before + 1),  Output(tensors, after + 2), Output(tensors, after + 3)};
}

// The changes before a depthwise convolution.
auto Unchanged(Index) {
  return [](float value) { return value; };
}
auto Relu(Index) {
  return [](float value) { return value < 0 ? 0.0F : value; };  // NaN stays NaN
}
auto BatchNormAndRelu(const BatchNorm &norm) {
  return [norm, relu = Relu(0)](float value) { return relu(norm(value)); };
}

}  // namespace

extern "C" {

// x, gamma, beta, moving mean, moving variance -> y, mean, variance, moved mean, moved variance
int BatchNormForward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  const Shape shape(shapes[0]);
  Float x = Input(tensors, 0), gamma = Input(tensors, 1), beta = Input(tensors, 2);
  float *y = Output(tensors, 5);
  const Statistics statistics = StatisticsOf(tensors, 3, 6);
  InParallel(shape.channels, [&](Index first, Index last) {
    for (Index channel = first; channel < last; ++channel) {
      const BatchNorm norm = Measure(x, gamma[channel], beta[channel], shape, channel);
      statistics.Keep(norm, shape, channel);
      for (Index image = 0; image < shape.images; ++image) {
        const Index begin = shape.Offset(image, channel);
        std::transform(x + begin, x + begin + shape.Plane(), y + begin, norm);
      }
    }
  });
  return 0;
}

// x, gamma, mean, variance, dy -> dx, dgamma, dbeta
int BatchNormBackward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  const Shape shape(shapes[0]);
  Float x = Input(tensors, 0), gamma = Input(tensors, 1), mean = Input(tensors, 2), variance = Input(tensors, 3);
  InParallel(shape.channels, [&](Index first, Index last) {
    for (Index channel = first; channel < last; ++channel) {
      const BatchNorm norm(mean[channel], variance[channel], gamma[channel], 0);
      BatchNormGradient(x, Input(tensors, 4), Output(tensors, 5), Output(tensors, 6), Output(tensors, 7), norm, shape,
                        channel);
    }
  });
  return 0;
}

// x, weight -> y
int DepthwiseForward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  Depthwise(Input(tensors, 0), Input(tensors, 1), Output(tensors, 2), Shape(shapes[0]), Unchanged);
  return 0;
}

// x, weight, dy -> dx, dweight
int DepthwiseBackward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  DepthwiseGradient<false>(Input(tensors, 0), Input(tensors, 1), Input(tensors, 2), Output(tensors, 3),
                           Output(tensors, 4), Shape(shapes[0]), Unchanged, [](Index) {});
  return 0;
}

// As without Relu.
int ReluDepthwiseForward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  Depthwise(Input(tensors, 0), Input(tensors, 1), Output(tensors, 2), Shape(shapes[0]), Relu);
  return 0;
}

int ReluDepthwiseBackward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  DepthwiseGradient<true>(Input(tensors, 0), Input(tensors, 1), Input(tensors, 2), Output(tensors, 3),
                          Output(tensors, 4), Shape(shapes[0]), Relu, [](Index) {});
  return 0;
}

// x, gamma, beta, weight, moving mean, moving variance -> y, mean, variance, moved mean, moved variance
int BatchNormReluDepthwiseForward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  const Shape shape(shapes[0]);
  Float x = Input(tensors, 0), gamma = Input(tensors, 1), beta = Input(tensors, 2);
  const Statistics statistics = StatisticsOf(tensors, 4, 7);
  Depthwise(x, Input(tensors, 3), Output(tensors, 6), shape, [&](Index channel) {
    const BatchNorm norm = Measure(x, gamma[channel], beta[channel], shape, channel);
    statistics.Keep(norm, shape, channel);
    return BatchNormAndRelu(norm);
  });
  return 0;
}

// x, gamma, beta, weight, mean, variance, dy -> dx, dgamma, dbeta, dweight
int BatchNormReluDepthwiseBackward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  const Shape shape(shapes[0]);
  Float x = Input(tensors, 0), gamma = Input(tensors, 1), beta = Input(tensors, 2);
  Float mean = Input(tensors, 4), variance = Input(tensors, 5);
  float *dx = Output(tensors, 7);
  const auto norm_of = [&](Index channel) {
    return BatchNorm(mean[channel], variance[channel], gamma[channel], beta[channel]);
  };
  DepthwiseGradient<true>(
      x, Input(tensors, 3), Input(tensors, 6), dx, Output(tensors, 10), shape,
      [&](Index channel) { return BatchNormAndRelu(norm_of(channel)); },
      [&](Index channel) {
        BatchNormGradient(x, dx, dx, Output(tensors, 8), Output(tensors, 9), norm_of(channel), shape, channel);
      });
  return 0;
}

// x -> y
int MaxPoolForward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  MaxPool(Input(tensors, 0), Output(tensors, 1), Shape(shapes[0]), Shape(shapes[1]));
  return 0;
}

// x, dy -> dx
int MaxPoolBackward(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  MaxPoolGradient(Input(tensors, 0), Input(tensors, 1), Output(tensors, 2), Shape(shapes[0]), Shape(shapes[1]));
  return 0;
}

// x, perhaps something that it waits for -> y; the names have the size of the windows and the stride.
int Unfold3By1(int count, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  Unfold<3, 1>(Input(tensors, 0), Output(tensors, count - 1), Shape(shapes[0]), Shape(shapes[count - 1]));
  return 0;
}

int Unfold3By2(int count, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  Unfold<3, 2>(Input(tensors, 0), Output(tensors, count - 1), Shape(shapes[0]), Shape(shapes[count - 1]));
  return 0;
}

int Unfold1By2(int count, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  Unfold<1, 2>(Input(tensors, 0), Output(tensors, count - 1), Shape(shapes[0]), Shape(shapes[count - 1]));
  return 0;
}

// x, dy -> dx
int Fold3By1(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  Fold<3, 1>(Input(tensors, 1), Output(tensors, 2), Shape(shapes[0]), Shape(shapes[1]));
  return 0;
}

int Fold3By2(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  Fold<3, 2>(Input(tensors, 1), Output(tensors, 2), Shape(shapes[0]), Shape(shapes[1]));
  return 0;
}

int Fold1By2(int, void **tensors, int *, Index **shapes, const char **, void *, void *) {
  Fold<1, 2>(Input(tensors, 1), Output(tensors, 2), Shape(shapes[0]), Shape(shapes[1]));
  return 0;
}
}
