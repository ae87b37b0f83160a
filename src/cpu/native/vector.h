// Vectors of 16 or 8 float32 values, by the compiler's own types, and how float32 and bfloat16 come in and out.
#pragma once

#include <cstdint>
#include <cstring>

#include "shape.h"

#if defined(__AVX2__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12 finds fault with its own header
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace xception {

// The upper half of a float32.
struct BFloat16 {
  std::uint16_t bits;
};

// The compiler's types, which GCC makes of constants alone.
template <int kValues>
struct Types;
template <>
struct Types<16> {
  typedef float Floats __attribute__((vector_size(64)));
  typedef std::uint32_t Words __attribute__((vector_size(64)));
  typedef std::int32_t Mask __attribute__((vector_size(64)));
  typedef std::uint16_t Halves __attribute__((vector_size(32)));
  typedef std::uint8_t Bytes __attribute__((vector_size(16)));
};
template <>
struct Types<8> {
  typedef float Floats __attribute__((vector_size(32)));
  typedef std::uint32_t Words __attribute__((vector_size(32)));
  typedef std::int32_t Mask __attribute__((vector_size(32)));
  typedef std::uint16_t Halves __attribute__((vector_size(16)));
  typedef std::uint8_t Bytes __attribute__((vector_size(8)));
};

// Whole numbers of 8, 16 and 32 bits into one another: GCC 12 takes them apart one by one, or in halves.
template <typename To, typename From>
To Converted(From from) {
#if defined(__AVX512F__)
  if constexpr (sizeof(To) == 64 && sizeof(From) == 32) {
    return reinterpret_cast<To>(_mm512_cvtepu16_epi32(reinterpret_cast<__m256i>(from)));
  } else if constexpr (sizeof(To) == 64) {
    return reinterpret_cast<To>(_mm512_cvtepu8_epi32(reinterpret_cast<__m128i>(from)));
  } else if constexpr (sizeof(From) == 64 && sizeof(To) == 32) {
    return reinterpret_cast<To>(_mm512_cvtepi32_epi16(reinterpret_cast<__m512i>(from)));
  } else if constexpr (sizeof(From) == 64) {
    return reinterpret_cast<To>(_mm512_cvtepi32_epi8(reinterpret_cast<__m512i>(from)));
  }
#endif
#if defined(__AVX2__)
  if constexpr (sizeof(To) == 32 && sizeof(From) == 16) {
    return reinterpret_cast<To>(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(from)));
  } else if constexpr (sizeof(To) == 32 && sizeof(From) == 8) {
    return reinterpret_cast<To>(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(reinterpret_cast<long long>(from))));
  } else if constexpr (sizeof(From) == 32 && sizeof(To) <= 16) {
    const __m256i words = reinterpret_cast<__m256i>(from);
    const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    if constexpr (sizeof(To) == 16) {
      return reinterpret_cast<To>(halves);
    } else {
      return reinterpret_cast<To>(_mm_cvtsi128_si64(_mm_packus_epi16(halves, halves)));
    }
  }
#endif
  return __builtin_convertvector(from, To);
}

template <int kValues>
struct Vector {
  static constexpr int kWidth = kValues;
  using Floats = typename Types<kValues>::Floats;
  using Words = typename Types<kValues>::Words;
  using Halves = typename Types<kValues>::Halves;
  using Mask = typename Types<kValues>::Mask;  // of a value all bits or none
  using Bytes = typename Types<kValues>::Bytes;
  Floats v;

  static Vector All(float value) { return {Floats{} + value}; }
  static Vector Load(const float *from) {
    Vector result;
    std::memcpy(&result.v, from, sizeof(Floats));
    return result;
  }
  static Vector Load(const BFloat16 *from) {
    Halves halves;
    std::memcpy(&halves, from, sizeof(Halves));
    return {reinterpret_cast<Floats>(Converted<Words>(halves) << 16)};
  }
  void Store(float *to) const { std::memcpy(to, &v, sizeof(Floats)); }
  void Store(BFloat16 *to) const {
    const Halves halves = Rounded();
    std::memcpy(to, &halves, sizeof(Halves));
  }

  friend Vector operator+(Vector a, Vector b) { return {a.v + b.v}; }
  friend Vector operator-(Vector a, Vector b) { return {a.v - b.v}; }
  friend Vector operator*(Vector a, Vector b) { return {a.v * b.v}; }
  friend Mask operator>(Vector a, Vector b) { return a.v > b.v; }
  Mask IsNan() const { return v != v; }

  // Of small whole numbers; what is in a byte comes and goes as one.
  static Words LoadBytes(const std::uint8_t *from) {
    Bytes bytes;
    std::memcpy(&bytes, from, sizeof(Bytes));
    return Converted<Words>(bytes);
  }
  static void StoreBytes(Words words, std::uint8_t *to) {
    const Bytes bytes = Converted<Bytes>(words);
    std::memcpy(to, &bytes, sizeof(Bytes));
  }

 private:
  // To the nearest, to the even one between two; a NaN stays one. The instruction takes denormals for zeros.
  Halves Rounded() const {
#if defined(__AVX512BF16__) && defined(__AVX512VL__)
    if constexpr (kValues == 16) {
      return reinterpret_cast<Halves>(_mm512_cvtneps_pbh(v));
    } else {
      return reinterpret_cast<Halves>(_mm256_cvtneps_pbh(v));
    }
#else
    const Words bits = reinterpret_cast<Words>(v);
    const Words rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    const Words quiet = bits >> 16 | 0x40;
    return Converted<Halves>(v == v ? rounded : quiet);
#endif
  }
};

// a * b + c, by one instruction where there is one.
template <int kValues>
Vector<kValues> MultiplyAdd(Vector<kValues> a, Vector<kValues> b, Vector<kValues> c) {
  return {a.v * b.v + c.v};
}

// a where the mask is set, else b.
template <int kValues>
Vector<kValues> Select(typename Vector<kValues>::Mask mask, Vector<kValues> a, Vector<kValues> b) {
  return {mask ? a.v : b.v};
}

// The larger ones; b where either is NaN, so put what may be NaN second.
template <int kValues>
Vector<kValues> Max(Vector<kValues> a, Vector<kValues> b) {
#if defined(__AVX512F__)
  if constexpr (kValues == 16) {
    return {_mm512_max_ps(a.v, b.v)};
  }
#endif
#if defined(__AVX2__)
  if constexpr (kValues == 8) {
    return {_mm256_max_ps(a.v, b.v)};
  }
#endif
  return {a.v > b.v ? a.v : b.v};
}

#if defined(__AVX512F__)
constexpr int kWidest = 16;
#else
constexpr int kWidest = 8;
#endif

// Calls work(channel, vector type's value) for all channels, as many at a time as the processor takes; they must be a
// multiple of 8. The rest of 8 (728 has one with 16) comes last. What work captures by value stays in registers: what
// it refers to may change with each value that is stored, for all that the compiler knows.
template <typename Work>
[[gnu::always_inline]] inline void ForChannels(Index channels, const Work &work) {
  Index channel = 0;
  for (; channel + kWidest <= channels; channel += kWidest) {
    work(channel, Vector<kWidest>{});
  }
  if constexpr (kWidest > 8) {
    if (channel < channels) {
      work(channel, Vector<8>{});
    }
  }
}

// Reads a range once in order, so that it comes into the cache by the hardware's prefetching, which loses the thread
// where a kernel walks through channel by channel.
inline void ReadInOrder(const void *from, Index bytes) {
  constexpr Index kCacheLine = 64;
  const char *place = static_cast<const char *>(from);
  char all = 0;
  for (Index i = 0; i < bytes; i += kCacheLine) {
    all = static_cast<char>(all | place[i]);
  }
  asm volatile("" : : "r"(all));  // or the compiler leaves the loop out
}

}  // namespace xception
