#include "onednn.h"

#include <algorithm>
#include <functional>
#include <new>
#include <stdexcept>

#include "onednn_functions.h"

namespace xception {
namespace {

constexpr int kCpu = 1, kThreadPool = 8, kUsersScratch = 1, kDirect = 1;
constexpr int kForwardTraining = 64, kForwardInference = 96;
constexpr int kWeightQuery = 131, kDWeightQuery = 132, kScratchQuery = 136;
constexpr int kAvx512WithBFloat16 = 0xe7;

// The class that oneDNN calls a pool by. It is asked by place, and never destroyed; 3.11 asks for Wait too.
class TheirPool {
 public:
  explicit TheirPool(ThreadPool &pool) : pool_(pool) {}
  virtual int Threads() const { return pool_.Threads(); }
  virtual bool IsInside() const { return pool_.IsInside(); }
  virtual void ForEach(int count, const std::function<void(int, int)> &work) {
    pool_.ForEach(count, [&](Index i) { work(static_cast<int>(i), count); });
  }
  virtual std::uint64_t Flags() const { return 0; }  // ForEach returns when all is done
  virtual void Wait() {}

 protected:
  ~TheirPool() = default;

 private:
  ThreadPool &pool_;
};

void Check(int status, const char *what) {
  if (status == 1) {
    throw std::bad_alloc();
  }
  if (status) {
    throw std::runtime_error(std::string("oneDNN cannot ") + what + " (status " + std::to_string(status) + ")");
  }
}

dnnl_engine *Engine() {
  static dnnl_engine *engine = [] {
    const std::string problem = OneDnnProblem();
    if (!problem.empty()) {
      throw std::runtime_error(problem);
    }
    dnnl_engine *made = nullptr;
    Check(dnnl_engine_create(&made, kCpu, 0), "use the processor");
    return made;
  }();
  return engine;
}

struct PoolsStream final : TheirPool {
  explicit PoolsStream(ThreadPool &pool) : TheirPool(pool) {
    TheirPool *theirs = this;
    Check(dnnl_threadpool_interop_stream_create(&stream, Engine(), theirs), "use threads");
  }
  ~PoolsStream() { dnnl_stream_destroy(stream); }
  dnnl_stream *stream = nullptr;
};

dnnl_stream *StreamOf(ThreadPool &pool) {
  if (!pool.attachment) {
    pool.attachment = std::make_shared<PoolsStream>(pool);
  }
  return static_cast<PoolsStream *>(pool.attachment.get())->stream;
}

class Attributes {
 public:
  explicit Attributes(bool sum = false) {
    Check(dnnl_primitive_attr_create(&attributes_), "make attributes");
    Check(dnnl_primitive_attr_set_scratchpad_mode(attributes_, kUsersScratch), "take scratch memory");
    if (sum) {
      dnnl_post_ops *after = nullptr;
      Check(dnnl_post_ops_create(&after), "add to a result");
      const int appended = dnnl_post_ops_append_sum(after, 1.0F, 0, 0);
      const int set = dnnl_primitive_attr_set_post_ops(attributes_, after);
      dnnl_post_ops_destroy(after);
      Check(appended ? appended : set, "add to a result");
    }
  }
  Attributes(const Attributes &) = delete;
  Attributes &operator=(const Attributes &) = delete;
  ~Attributes() { dnnl_primitive_attr_destroy(attributes_); }
  const dnnl_primitive_attr *Get() const { return attributes_; }

 private:
  dnnl_primitive_attr *attributes_ = nullptr;
};

struct ConvolutionLayouts {
  explicit ConvolutionLayouts(const ConvolutionSizes &sizes)
      : x({sizes.x.images, sizes.in, sizes.x.height, sizes.x.width}, sizes.type, Order::kChannelsLast),
        y({sizes.y.images, sizes.out, sizes.y.height, sizes.y.width}, sizes.type, Order::kChannelsLast),
        weight({sizes.out, sizes.in, sizes.kernel, sizes.kernel}, sizes.type, Order::kAny),
        dweight({sizes.out, sizes.in, sizes.kernel, sizes.kernel}, Type::kFloat32, Order::kAny),
        bias({sizes.out}, Type::kFloat32, Order::kVector),
        strides{sizes.stride, sizes.stride} {}
  Layout x, y, weight, dweight, bias;
  std::int64_t strides[12];
  static constexpr std::int64_t kNone[12] = {};
};

dnnl_primitive_desc *ForwardDesc(const ConvolutionSizes &sizes, bool for_training, Extras extras) {
  const ConvolutionLayouts layouts(sizes);
  const Attributes attributes(extras.sum);
  dnnl_primitive_desc *desc = nullptr;
  Check(dnnl_convolution_forward_primitive_desc_create(
            &desc, Engine(), for_training ? kForwardTraining : kForwardInference, kDirect, layouts.x.Get(),
            layouts.weight.Get(), extras.bias ? layouts.bias.Get() : nullptr, layouts.y.Get(), layouts.strides,
            layouts.kNone, layouts.kNone, layouts.kNone, attributes.Get()),
        "convolve");
  return desc;
}

std::shared_ptr<dnnl_primitive_desc> Owned(dnnl_primitive_desc *desc) {
  return std::shared_ptr<dnnl_primitive_desc>(desc, dnnl_primitive_desc_destroy);
}

}  // namespace

Layout::Layout(const std::vector<Index> &sizes, Type type, Order order) {
  std::int64_t all[12] = {};
  std::copy(sizes.begin(), sizes.end(), all);
  dnnl_memory_desc *desc = nullptr;
  Check(dnnl_memory_desc_create_with_tag(&desc, static_cast<int>(sizes.size()), all, static_cast<int>(type),
                                         static_cast<int>(order)),
        "describe a tensor");
  desc_.reset(desc, dnnl_memory_desc_destroy);
}

Layout::Layout(const dnnl_memory_desc *theirs) {
  dnnl_memory_desc *desc = nullptr;
  Check(dnnl_memory_desc_clone(&desc, theirs), "describe a tensor");
  desc_.reset(desc, dnnl_memory_desc_destroy);
}

bool Layout::operator==(const Layout &other) const { return dnnl_memory_desc_equal(desc_.get(), other.desc_.get()); }

std::size_t Layout::Bytes() const { return dnnl_memory_desc_get_size(desc_.get()); }

Primitive::Primitive(dnnl_primitive_desc *desc) : desc_(Owned(desc)) {
  dnnl_primitive *primitive = nullptr;
  Check(dnnl_primitive_create(&primitive, desc), "prepare a computation");
  primitive_.reset(primitive, dnnl_primitive_destroy);
  scratch_ = Layout(dnnl_primitive_desc_query_md(desc, kScratchQuery, 0));
}

Layout Primitive::WeightLayout() const { return Layout(dnnl_primitive_desc_query_md(desc_.get(), kWeightQuery, 0)); }

Layout Primitive::DWeightLayout() const { return Layout(dnnl_primitive_desc_query_md(desc_.get(), kDWeightQuery, 0)); }

void Primitive::Run(ThreadPool &pool, std::initializer_list<Argument> arguments) const {
  static thread_local Buffer scratch;
  std::vector<OneDnnArgument> theirs;
  std::vector<std::unique_ptr<dnnl_memory, int (*)(dnnl_memory *)>> memories;
  const auto add = [&](Role role, const Layout &layout, const void *data) {
    dnnl_memory *memory = nullptr;
    Check(dnnl_memory_create(&memory, layout.Get(), Engine(), const_cast<void *>(data)), "take a tensor");
    memories.emplace_back(memory, dnnl_memory_destroy);
    theirs.push_back({static_cast<int>(role), memory});
  };
  for (const Argument &argument : arguments) {
    if (argument.data) {
      add(argument.role, argument.layout, argument.data);
    }
  }
  if (scratch_.Bytes()) {
    add(Role::kScratch, scratch_, scratch.Need(scratch_.Bytes()));
  }
  dnnl_stream *stream = StreamOf(pool);
  Check(dnnl_primitive_execute(primitive_.get(), stream, static_cast<int>(theirs.size()), theirs.data()), "compute");
  Check(dnnl_stream_wait(stream), "compute");
}

Primitive MakeForward(const ConvolutionSizes &sizes, bool for_training, Extras extras) {
  return Primitive(ForwardDesc(sizes, for_training, extras));
}

Primitive MakeBackwardData(const ConvolutionSizes &sizes) {
  const ConvolutionLayouts layouts(sizes);
  const auto forward = Owned(ForwardDesc(sizes, true, {}));
  const Attributes attributes;
  dnnl_primitive_desc *desc = nullptr;
  Check(dnnl_convolution_backward_data_primitive_desc_create(
            &desc, Engine(), kDirect, layouts.x.Get(), layouts.weight.Get(), layouts.y.Get(), layouts.strides,
            layouts.kNone, layouts.kNone, layouts.kNone, forward.get(), attributes.Get()),
        "convolve backward");
  return Primitive(desc);
}

Primitive MakeBackwardWeight(const ConvolutionSizes &sizes) {
  const ConvolutionLayouts layouts(sizes);
  const auto forward = Owned(ForwardDesc(sizes, true, {}));
  const Attributes attributes;
  dnnl_primitive_desc *desc = nullptr;
  Check(dnnl_convolution_backward_weights_primitive_desc_create(
            &desc, Engine(), kDirect, layouts.x.Get(), layouts.dweight.Get(), nullptr, layouts.y.Get(),
            layouts.strides, layouts.kNone, layouts.kNone, layouts.kNone, forward.get(), attributes.Get()),
        "convolve backward");
  return Primitive(desc);
}

Primitive MakeReorder(const Layout &from, const Layout &to) {
  const Attributes attributes;
  dnnl_primitive_desc *desc = nullptr;
  Check(dnnl_reorder_primitive_desc_create(&desc, from.Get(), Engine(), to.Get(), Engine(), attributes.Get()),
        "reorder");
  return Primitive(desc);
}

Primitive MakeMatrixProduct(const Layout &a, const Layout &b, const Layout &product) {
  const Attributes attributes;
  dnnl_primitive_desc *desc = nullptr;
  Check(dnnl_matmul_primitive_desc_create(&desc, Engine(), a.Get(), b.Get(), nullptr, product.Get(), attributes.Get()),
        "multiply matrices");
  return Primitive(desc);
}

std::string OneDnnVersion() {
  const OneDnnVersionNumbers &version = *dnnl_version();
  return std::to_string(version.major) + "." + std::to_string(version.minor) + "." + std::to_string(version.patch);
}

std::string OneDnnProblem() {
  const OneDnnVersionNumbers &version = *dnnl_version();
  if (version.major == 3 && version.minor == 10 && version.cpu_runtime == kThreadPool) {
    return "";
  }
  return "oneDNN here is " + OneDnnVersion() + ", but only 3.10 with a thread pool, as MindSpore 2.10 has it, is known";
}

bool HasBFloat16() { return (dnnl_get_effective_cpu_isa() & kAvx512WithBFloat16) == kAvx512WithBFloat16; }

ForThreads::ForThreads(int threads) {
  dnnl_threadpool_interop_get_max_concurrency(&before_);
  dnnl_threadpool_interop_set_max_concurrency(threads);
}

ForThreads::~ForThreads() { dnnl_threadpool_interop_set_max_concurrency(before_); }

}  // namespace xception
