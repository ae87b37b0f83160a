#include "convolution.h"

#include <array>
#include <cstring>
#include <map>

namespace xception {
namespace {

enum class Work : Index {
  kForward,
  kBackwardData,
  kBackwardWeight,
  kFixed,
  kFixedWithBias,
  kFixedSum,
  kFixedSumWithBias,
};

// A computation, with what brings weights into the order that it has chosen, or their gradients out of it.
struct Made {
  Primitive compute, pack;
  Layout x, y, weight, users_weight;
  Index last_use = 0;
};

Layout Activations(const Shape &shape, Type type) {
  return Layout({shape.images, shape.channels, shape.height, shape.width}, type, Order::kChannelsLast);
}

// The gradient of a 1x1 weight as a product of matrices needs no other order of the weights, and is faster for all but
// few channels on many pixels.
bool IsProduct(const ConvolutionSizes &sizes) {
  return sizes.kernel == 1 && sizes.stride == 1 && (sizes.in > 128 || sizes.out > 128);
}

Made MakeWeightGradient(const ConvolutionSizes &sizes) {
  Made made;
  made.users_weight = Layout({sizes.out, sizes.in, sizes.kernel, sizes.kernel}, Type::kFloat32, Order::kOihw);
  if (IsProduct(sizes)) {
    const Index pixels = sizes.x.Pixels();
    made.x = Layout({pixels, sizes.in}, sizes.type, Order::kRows);
    made.y = Layout({sizes.out, pixels}, sizes.type, Order::kColumns);
    made.weight = Layout({sizes.out, sizes.in}, Type::kFloat32, Order::kRows);
    made.compute = MakeMatrixProduct(made.y, made.x, made.weight);
    return made;
  }
  made.x = Activations(sizes.x, sizes.type);
  made.y = Activations(sizes.y, sizes.type);
  made.compute = MakeBackwardWeight(sizes);
  made.weight = made.compute.DWeightLayout();
  made.pack = MakeReorder(made.weight, made.users_weight);
  return made;
}

Made Make(const ConvolutionSizes &sizes, Work work) {
  if (work == Work::kBackwardWeight) {
    return MakeWeightGradient(sizes);
  }
  Made made;
  made.x = Activations(sizes.x, sizes.type);
  made.y = Activations(sizes.y, sizes.type);
  made.users_weight = Layout({sizes.out, sizes.in, sizes.kernel, sizes.kernel}, Type::kFloat32, Order::kOihw);
  if (work == Work::kBackwardData) {
    made.compute = MakeBackwardData(sizes);
  } else {
    const Extras extras{work == Work::kFixedWithBias || work == Work::kFixedSumWithBias,
                        work == Work::kFixedSum || work == Work::kFixedSumWithBias};
    made.compute = MakeForward(sizes, work == Work::kForward, extras);
  }
  made.weight = made.compute.WeightLayout();
  if (work == Work::kForward || work == Work::kBackwardData) {
    made.pack = MakeReorder(made.users_weight, made.weight);
  }
  return made;
}

// What has been made, for the process; a program that sees images of ever other sizes keeps the latest.
const Made &Cached(int threads, const ConvolutionSizes &sizes, Work work) {
  using Key = std::array<Index, 10>;
  constexpr std::size_t kMost = 1000;
  static auto &all = *new std::map<Key, Made>;  // threads may still use it when the process ends
  static Index uses = 0;
  const Key key{static_cast<Index>(work), static_cast<Index>(sizes.type), threads, sizes.in, sizes.out,
                sizes.kernel, sizes.stride, sizes.x.images, sizes.x.height, sizes.x.width};
  auto found = all.find(key);
  if (found == all.end()) {
    if (all.size() >= kMost) {
      auto oldest = all.begin();
      for (auto each = all.begin(); each != all.end(); ++each) {
        oldest = each->second.last_use < oldest->second.last_use ? each : oldest;
      }
      all.erase(oldest);
    }
    const ForThreads limit(threads);
    found = all.emplace(key, Make(sizes, work)).first;
  }
  found->second.last_use = ++uses;
  return found->second;
}

Buffer &PackedWeights() {
  static auto &buffer = *new Buffer;
  return buffer;
}

Timed TimedConvolution(const ConvolutionSizes &sizes, const char *pointwise, const char *convolution3x3) {
  const Index weights = sizes.in * sizes.out * sizes.kernel * sizes.kernel;
  return Timed(sizes.kernel == 1 ? pointwise : convolution3x3, 2 * sizes.y.Pixels() * weights,
               (sizes.x.Values() + weights + sizes.y.Values()) * (sizes.type == Type::kFloat32 ? 4 : 2));
}

const void *Pack(ThreadPool &pool, const Made &made, const float *weight) {
  const Timed timed("weights packed", 0, Index(made.users_weight.Bytes() + made.weight.Bytes()));
  const void *packed = PackedWeights().Need(made.weight.Bytes());
  made.pack.Run(pool, {{Role::kX, made.users_weight, weight}, {Role::kY, made.weight, packed}});
  return packed;
}

}  // namespace

void ConvolutionForward(ThreadPool &pool, const ConvolutionSizes &sizes, const void *x, const float *weight, void *y) {
  const Made &made = Cached(pool.Threads(), sizes, Work::kForward);
  const void *packed = Pack(pool, made, weight);
  const Timed timed = TimedConvolution(sizes, kPointwiseForward, kConvolution3x3Forward);
  made.compute.Run(pool, {{Role::kX, made.x, x}, {Role::kWeight, made.weight, packed}, {Role::kY, made.y, y}});
}

void ConvolutionBackwardData(ThreadPool &pool, const ConvolutionSizes &sizes, const void *dy, const float *weight,
                             void *dx) {
  const Made &made = Cached(pool.Threads(), sizes, Work::kBackwardData);
  const void *packed = Pack(pool, made, weight);
  const Timed timed = TimedConvolution(sizes, "1 x 1 convolution, by inputs", "3 x 3 convolution, by inputs");
  made.compute.Run(pool, {{Role::kDy, made.y, dy}, {Role::kWeight, made.weight, packed}, {Role::kDx, made.x, dx}});
}

void ConvolutionBackwardWeight(ThreadPool &pool, const ConvolutionSizes &sizes, const void *x, const void *dy,
                               float *dweight) {
  const Made &made = Cached(pool.Threads(), sizes, Work::kBackwardWeight);
  const Timed timed = TimedConvolution(sizes, "1 x 1 convolution, by weights", "3 x 3 convolution, by weights");
  if (IsProduct(sizes)) {
    made.compute.Run(pool, {{Role::kX, made.y, dy}, {Role::kWeight, made.x, x}, {Role::kY, made.weight, dweight}});
    return;
  }
  const void *packed = PackedWeights().Need(made.weight.Bytes());
  made.compute.Run(pool, {{Role::kX, made.x, x}, {Role::kDy, made.y, dy}, {Role::kDWeight, made.weight, packed}});
  made.pack.Run(pool, {{Role::kX, made.weight, packed}, {Role::kY, made.users_weight, dweight}});
}

FixedConvolution::FixedConvolution(Index in, Index out, Index kernel, Index stride, Type type, const float *weight,
                                   const float *bias)
    : in_(in), out_(out), kernel_(kernel), stride_(stride), type_(type), has_bias_(bias != nullptr) {
  Packed first{Layout({out, in, kernel, kernel}, Type::kFloat32, Order::kOihw), std::make_shared<Buffer>()};
  std::memcpy(first.data->Need(first.layout.Bytes()), weight, first.layout.Bytes());
  packed_.push_back(first);
  if (bias) {
    std::memcpy(bias_.Need<float>(out), bias, static_cast<std::size_t>(out) * sizeof(float));
  }
}

const void *FixedConvolution::PackedAs(ThreadPool &pool, const Layout &layout) {
  for (const Packed &packed : packed_) {
    if (packed.layout == layout) {
      return packed.data->Get();
    }
  }
  Packed added{layout, std::make_shared<Buffer>()};
  const void *to = added.data->Need(layout.Bytes());
  const ForThreads threads(pool.Threads());
  MakeReorder(packed_[0].layout, layout)
      .Run(pool, {{Role::kX, packed_[0].layout, packed_[0].data->Get()}, {Role::kY, layout, to}});
  if (!is_packed_) {
    packed_.clear();
    is_packed_ = true;
  }
  packed_.push_back(added);
  return to;
}

ConvolutionSizes FixedConvolution::Sizes(const Shape &x) const {
  const Shape y{x.images, (x.height - kernel_) / stride_ + 1, (x.width - kernel_) / stride_ + 1, out_};
  return {in_, out_, kernel_, stride_, x, y, type_};
}

FixedConvolution::Ready FixedConvolution::For(ThreadPool &pool, int threads, const Shape &x_shape, bool adds) {
  const Work work = adds ? has_bias_ ? Work::kFixedSumWithBias : Work::kFixedSum
                         : has_bias_ ? Work::kFixedWithBias : Work::kFixed;
  const Made &made = Cached(threads, Sizes(x_shape), work);
  Ready ready;
  ready.compute_ = made.compute;
  ready.x_ = made.x;
  ready.y_ = made.y;
  ready.weight_layout_ = made.weight;
  ready.weight_ = PackedAs(pool, made.weight);
  ready.bias_layout_ = Layout({out_}, Type::kFloat32, Order::kVector);
  ready.bias_ = bias_.Get();
  return ready;
}

void FixedConvolution::Run(ThreadPool &pool, const Shape &x_shape, const void *x, void *y, bool adds) {
  const Ready ready = For(pool, pool.Threads(), x_shape, adds);
  const Timed timed = TimedConvolution(Sizes(x_shape), kPointwiseForward, kConvolution3x3Forward);
  ready.Run(pool, x, y);
}

void FixedConvolution::Ready::Run(ThreadPool &pool, const void *x, void *y) const {
  compute_.Run(pool, {{Role::kX, x_, x},
                      {Role::kWeight, weight_layout_, weight_},
                      {Role::kBias, bias_layout_, bias_},
                      {Role::kY, y_, y}});
}

}  // namespace xception
