#include "classifier.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "entry.h"
#include "network.h"

namespace xception {
namespace {

constexpr Index kMostPixels = 8 * 299 * 299;  // of the images of one turn; they bound the memory
constexpr Index kLeastSize = 71;

class Classifier {
 public:
  virtual ~Classifier() = default;
  virtual void Run(ThreadPool &pool, const Images &images, float *logits) = 0;
};

template <class T>
class ClassifierOf final : public Classifier {
 public:
  ClassifierOf(bool symmetric_pool, Index classes, const float *const *parameters)
      : classes_(classes), network_(symmetric_pool, classes, Parameters(parameters)) {}

  void Run(ThreadPool &pool, const Images &images, float *logits) override {
    const Index most = std::max<Index>(kMostPixels / (images.height * images.width), 1);
    const Index turns = (images.images + most - 1) / most;
    for (Index turn = 0; turn < turns; ++turn) {
      const Index begin = images.images * turn / turns, end = images.images * (turn + 1) / turns;
      network_.Run(pool, images.Part(begin, end - begin), logits + begin * classes_);
    }
  }

 private:
  Index classes_;
  Network<T> network_;
};

void Require(bool condition, const std::string &message) {
  if (!condition) {
    throw std::invalid_argument(message);
  }
}

}  // namespace
}  // namespace xception

using namespace xception;

void *XceptionCreate(int is_half, int symmetric_pool, Index classes, const float *const *parameters, char *error,
                     Index error_size) {
  Classifier *made = nullptr;
  Enter(error, error_size, [&](ThreadPool &) {
    const std::string problem = OneDnnProblem();
    Require(problem.empty(), problem);
    Require(classes >= 1, "a network of " + std::to_string(classes) + " classes is none");
    Require(!is_half || HasBFloat16(), "this processor has no instructions for bfloat16");
    if (is_half) {
      made = new ClassifierOf<BFloat16>(symmetric_pool != 0, classes, parameters);
    } else {
      made = new ClassifierOf<float>(symmetric_pool != 0, classes, parameters);
    }
  });
  return made;
}

int XceptionRun(void *network, const void *images, int is_uint8, Index n, Index height, Index width, float *logits,
                char *error, Index error_size) {
  return Enter(error, error_size, [&](ThreadPool &pool) {
    Require(n >= 1 && height >= kLeastSize && width >= kLeastSize,
            "images must be 71 x 71 or more, but there are " + std::to_string(n) + " of " + std::to_string(height) +
                " x " + std::to_string(width));
    static_cast<Classifier *>(network)->Run(pool, {images, is_uint8 != 0, n, height, width}, logits);
  });
}

void XceptionDestroy(void *network) {
  Enter(nullptr, 0, [&](ThreadPool &) {
    delete static_cast<Classifier *>(network);
#if defined(__GLIBC__)
    malloc_trim(0);  // or 100 MB of weights would stay with a process that goes on training
#endif
  });
}

int XceptionHasHalf() { return OneDnnProblem().empty() && HasBFloat16(); }

int XceptionUsableThreads() { return UsableThreads(); }

void XceptionUseThreads(int threads) {
  Process &process = Process::Get();
  const std::lock_guard<std::mutex> lock(process.lock);
  process.threads = threads;
  delete std::exchange(process.pool, nullptr);
}

int XceptionThreads() {
  int threads = 1;
  Enter(nullptr, 0, [&](ThreadPool &pool) { threads = pool.Threads(); });
  return threads;
}

int XceptionTry(char *error, Index error_size) {
  return Enter(error, error_size, [&](ThreadPool &pool) {
    constexpr Index kSize = 24;  // not a multiple of 16, so all widths of vectors are tried
    const std::string problem = OneDnnProblem();
    Require(problem.empty(), problem);
    std::vector<float> x(3 * kSize), weight(kSize * kSize), middle(kSize * 9), between(3 * kSize), y(3 * kSize);
    for (Index i = 0; i < 3 * kSize; ++i) {
      x[i] = static_cast<float>(i);
    }
    for (Index i = 0; i < kSize; ++i) {
      weight[i * kSize + (i + 1) % kSize] = 1;  // takes each value from the next channel
      middle[i * 9 + 4] = 1;                    // the middle of each window alone
    }
    const Shape shape{1, 3, 1, kSize};
    DepthwiseForward<float>(pool, shape, Before::kRelu, nullptr, nullptr, x.data(), middle.data(), between.data());
    FixedConvolution(kSize, kSize, 1, 1, Type::kFloat32, weight.data(), nullptr)
        .Run(pool, shape, between.data(), y.data());
    for (Index i = 0; i < 3 * kSize; ++i) {
      Require(y[i] == x[i / kSize * kSize + (i + 1) % kSize], "oneDNN " + OneDnnVersion() + " multiplies wrongly");
    }
  });
}
