// What this machine reaches at most, which a profile is compared with.
#include <algorithm>
#include <chrono>
#include <cstring>

#include "convolution.h"
#include "entry.h"

namespace xception {
namespace {

constexpr int kTries = 20;  // others may have the cores for a while

template <typename Do>
double LeastSeconds(const Do &work) {
  std::chrono::duration<double> least(1e9);
  for (int i = 0; i < kTries; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    least = std::min<std::chrono::duration<double>>(least, std::chrono::steady_clock::now() - begin);
  }
  return least.count();
}

// Operations in a second of a product of square matrices.
template <typename T>
double SpeedOfProduct(ThreadPool &pool, Index side) {
  Buffer x, y, weight;
  std::memset(x.Need<T>(side * side), 0, side * side * sizeof(T));
  std::memset(weight.Need<float>(side * side), 0, side * side * sizeof(float));
  FixedConvolution product(side, side, 1, 1, kTypeOf<T>, weight.Need<float>(side * side), nullptr);
  const auto multiply = [&] {
    product.Run(pool, {1, 1, side, side}, x.Need<T>(side * side), y.Need<T>(side * side));
  };
  return 2.0 * static_cast<double>(side * side * side) / LeastSeconds(multiply);
}

// Bytes in a second that a copy reads and writes.
double SpeedOfCopy(ThreadPool &pool, Index bytes) {
  constexpr Index kPiece = 1 << 20;
  Buffer from, to;
  std::memset(from.Need(bytes), 0, bytes);
  std::memset(to.Need(bytes), 0, bytes);
  const auto copy = [&] {
    pool.ForEach(bytes / kPiece, [&](Index i) {
      std::memcpy(static_cast<char *>(to.Get()) + i * kPiece, static_cast<const char *>(from.Get()) + i * kPiece,
                  kPiece);
    });
  };
  return 2.0 * static_cast<double>(bytes) / LeastSeconds(copy);
}

}  // namespace
}  // namespace xception

using namespace xception;

#pragma GCC visibility push(default)
extern "C" {

// What all threads reach at most: operations in a second of a product of matrices of 2048 x 2048, in bfloat16 if
// is_half, and bytes in a second of a copy. Returns 0, or 1 after a failure, which `error` then tells in one line.
int XceptionLimits(int is_half, double *operations, double *bytes, char *error, Index error_size) {
  return Enter(error, error_size, [&](ThreadPool &pool) {
    *operations = is_half ? SpeedOfProduct<BFloat16>(pool, 2048) : SpeedOfProduct<float>(pool, 2048);
    *bytes = SpeedOfCopy(pool, 128 << 20);
  });
}
}
#pragma GCC visibility pop
