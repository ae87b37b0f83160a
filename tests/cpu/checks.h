// Checks that say what is wrong and go on; main returns Failures().
#pragma once

#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

#include "vector.h"

namespace xception {

inline int &Failures() {
  static int failures = 0;
  return failures;
}

#define CHECK(condition, ...)                                       \
  do {                                                              \
    if (!(condition)) {                                             \
      ++::xception::Failures();                                     \
      std::printf("%s:%d: %s:", __FILE__, __LINE__, #condition);    \
      std::printf(" " __VA_ARGS__);                                 \
      std::printf("\n");                                            \
    }                                                               \
  } while (false)

inline float ToFloat(float value) { return value; }
inline float ToFloat(BFloat16 value) {
  const std::uint32_t bits = static_cast<std::uint32_t>(value.bits) << 16;
  float result;
  std::memcpy(&result, &bits, sizeof(result));
  return result;
}
inline void Set(float &to, double value) { to = static_cast<float>(value); }
inline void Set(BFloat16 &to, double value) {
  float values[8] = {static_cast<float>(value)};
  BFloat16 halves[8];
  Vector<8>::Load(values).Store(halves);
  to = halves[0];
}

inline std::mt19937 &Random() {
  static std::mt19937 random(1);
  return random;
}
inline Index Between(Index least, Index most) { return std::uniform_int_distribution<Index>(least, most)(Random()); }

template <class T>
std::vector<T> RandomValues(Index count, double spread = 1) {
  std::normal_distribution<double> normal(0, spread);
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T &value : values) {
    Set(value, normal(Random()));
  }
  return values;
}

// The largest difference as a share of the largest value; infinity where one has a NaN and the other has not.
template <class T, class U>
double Difference(const std::vector<T> &found, const std::vector<U> &expected) {
  double most = 0, largest = 1e-30;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double a = ToFloat(found[i]), b = ToFloat(expected[i]);
    if (std::isnan(a) != std::isnan(b)) {
      return HUGE_VAL;
    }
    if (std::isnan(a) || a == b) {
      continue;
    }
    most = std::max(most, std::abs(a - b));
    largest = std::max(largest, std::abs(b));
  }
  return most / largest;
}

}  // namespace xception
