#include "onednn.h"

#include <algorithm>
#include <functional>
#include <new>
#include <stdexcept>

#include "onednn_functions.h"

namespace xception {
namespace {

constexpr int kCpu = 1, kThreadPool = 8;
constexpr int kWeightQuery = 131, kDWeightQuery = 132, kScratchQuery = 136;

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

}  // namespace

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

Primitive::Primitive(dnnl_primitive_desc *desc) : desc_(desc, dnnl_primitive_desc_destroy) {
  dnnl_primitive *primitive = nullptr;
  Check(dnnl_primitive_create(&primitive, desc), "prepare a computation");
  primitive_.reset(primitive, dnnl_primitive_destroy);
  scratch_ = Layout(dnnl_primitive_desc_query_md(desc, kScratchQuery, 0));
}

Layout Primitive::WeightLayout() const { return Layout(dnnl_primitive_desc_query_md(desc_.get(), kWeightQuery, 0)); }

Layout Primitive::DWeightLayout() const { return Layout(dnnl_primitive_desc_query_md(desc_.get(), kDWeightQuery, 0)); }

// A primitive's tensors for oneDNN, which take longer to make than small products.
struct Primitive::Bound {
  std::shared_ptr<dnnl_primitive> primitive;
  std::vector<OneDnnArgument> arguments;

  Bound() = default;
  Bound(const Bound &) = delete;
  Bound &operator=(const Bound &) = delete;
  ~Bound() { Clear(); }

  void Clear() {
    primitive.reset();
    for (const OneDnnArgument &argument : arguments) {
      dnnl_memory_destroy(argument.memory);
    }
    arguments.clear();
  }
  void Add(Role role, const Layout &layout) {
    dnnl_memory *memory = nullptr;
    Check(dnnl_memory_create(&memory, layout.Get(), Engine(), nullptr), "take a tensor");
    arguments.push_back({static_cast<int>(role), memory});
  }
};

// Each thread keeps those of the latest few.
Primitive::Bound &Primitive::Bind(std::initializer_list<Argument> arguments) const {
  static thread_local Bound all[4];
  static thread_local unsigned next = 0;
  for (Bound &bound : all) {
    if (bound.primitive == primitive_) {
      return bound;
    }
  }
  Bound &bound = all[next++ % 4];
  bound.Clear();
  for (const Argument &argument : arguments) {
    if (argument.data) {
      bound.Add(argument.role, argument.layout);
    }
  }
  if (scratch_.Bytes()) {
    bound.Add(Role::kScratch, scratch_);
  }
  bound.primitive = primitive_;
  return bound;
}

void Primitive::Run(ThreadPool &pool, std::initializer_list<Argument> arguments) const {
  static thread_local Buffer scratch;
  const std::vector<OneDnnArgument> &bound = Bind(arguments).arguments;
  auto place = bound.begin();
  for (const Argument &argument : arguments) {
    if (argument.data) {
      Check(dnnl_memory_set_data_handle((place++)->memory, const_cast<void *>(argument.data)), "take a tensor");
    }
  }
  if (scratch_.Bytes()) {
    Check(dnnl_memory_set_data_handle(place->memory, scratch.Need(scratch_.Bytes())), "take a tensor");
  }
  dnnl_stream *stream = StreamOf(pool);
  Check(dnnl_primitive_execute(primitive_.get(), stream, static_cast<int>(bound.size()), bound.data()), "compute");
  Check(dnnl_stream_wait(stream), "compute");
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

bool HasBFloat16() {
#if defined(__x86_64__)
  constexpr int kAvx512WithBFloat16 = 0xe7;
  return (dnnl_get_effective_cpu_isa() & kAvx512WithBFloat16) == kAvx512WithBFloat16;
#else
  return false;  // the numbers of other processors' instructions mean something else
#endif
}

ForThreads::ForThreads(int threads) {
  dnnl_threadpool_interop_get_max_concurrency(&before_);
  dnnl_threadpool_interop_set_max_concurrency(threads);
}

ForThreads::~ForThreads() { dnnl_threadpool_interop_set_max_concurrency(before_); }

}  // namespace xception
