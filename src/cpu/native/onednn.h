// MindSpore's own oneDNN, by its C interface: it is installed without headers.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "buffer.h"
#include "shape.h"
#include "thread_pool.h"
#include "vector.h"

struct dnnl_memory_desc;
struct dnnl_primitive;
struct dnnl_primitive_attr;
struct dnnl_primitive_desc;

namespace xception {

// Numbers that are oneDNN's.
enum class Type { kBFloat16 = 2, kFloat32 = 3 };
enum class Order { kAny = 1, kVector = 2, kRows = 3, kOihw = 5, kColumns = 14, kChannelsLast = 22 };
enum class Role {
  kX = 1,
  kY = 17,
  kWeight = 33,
  kBias = 41,
  kScratch = 80,
  kDx = 129,
  kDy = 145,
  kDWeight = 161,
};

template <class T>
constexpr Type kTypeOf = std::is_same<T, float>::value ? Type::kFloat32 : Type::kBFloat16;

// How a tensor lies in memory.
class Layout {
 public:
  Layout() = default;
  Layout(const std::vector<Index> &sizes, Type type, Order order);
  explicit Layout(const dnnl_memory_desc *theirs);
  bool operator==(const Layout &other) const;
  std::size_t Bytes() const;
  const dnnl_memory_desc *Get() const { return desc_.get(); }

 private:
  std::shared_ptr<dnnl_memory_desc> desc_;
};

// A computation that is ready to run, with its layouts.
class Primitive {
 public:
  struct Argument {
    Role role;
    const Layout &layout;
    const void *data;
  };
  Primitive() = default;
  explicit Primitive(dnnl_primitive_desc *desc);  // its own then
  Layout WeightLayout() const;                    // what it has chosen
  Layout DWeightLayout() const;
  // With the same roles each time.
  void Run(ThreadPool &pool, std::initializer_list<Argument> arguments) const;

 private:
  struct Bound;
  Bound &Bind(std::initializer_list<Argument> arguments) const;

  std::shared_ptr<dnnl_primitive_desc> desc_;
  std::shared_ptr<dnnl_primitive> primitive_;
  Layout scratch_;
};

// What may happen to a forward result before it is stored.
struct Extras {
  bool bias = false;
  bool sum = false;  // adds to what is there
};
struct ConvolutionSizes {
  Index in, out, kernel, stride;
  Shape x, y;
  Type type;
};
Primitive MakeForward(const ConvolutionSizes &sizes, bool for_training, Extras extras);
Primitive MakeBackwardData(const ConvolutionSizes &sizes);
Primitive MakeBackwardWeight(const ConvolutionSizes &sizes);
Primitive MakeReorder(const Layout &from, const Layout &to);
Primitive MakeMatrixProduct(const Layout &a, const Layout &b, const Layout &product);

// Why the oneDNN of this process cannot be used; nothing if it can.
std::string OneDnnProblem();
std::string OneDnnVersion();

// Whether the processor multiplies bfloat16 by itself, and oneDNN may have it do so.
bool HasBFloat16();

// Makes primitives for so many threads while it lives, whatever this thread's other users of oneDNN have chosen.
class ForThreads {
 public:
  explicit ForThreads(int threads);
  ~ForThreads();

 private:
  int before_ = 0;
};

}  // namespace xception
