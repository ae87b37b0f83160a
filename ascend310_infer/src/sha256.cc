// Not OpenSSL's: MindSpore's libraries have parts of an older OpenSSL in them, whose exported functions (CRYPTO_memcmp,
// OPENSSL_cleanse) the loader would replace by those of the libcrypto that this program were linked with.
#include "sha256.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace infer {
namespace {

constexpr size_t kBlock = 64;  // bytes that are hashed together
constexpr size_t kLengthPlace = kBlock - 8;

// The fractional parts of the cube roots of the first 64 primes (FIPS 180-4).
constexpr std::array<uint32_t, 64> kRoundConstants = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

using State = std::array<uint32_t, 8>;

uint32_t Rotated(uint32_t word, unsigned bits) { return word >> bits | word << (32 - bits); }

void AddBlock(const char *block, State *state) {
  std::array<uint32_t, 64> words;
  for (size_t i = 0; i < 16; ++i) {
    words[i] = 0;
    for (size_t byte = 0; byte < 4; ++byte) {
      words[i] = words[i] << 8 | static_cast<uint8_t>(block[4 * i + byte]);
    }
  }
  for (size_t i = 16; i < 64; ++i) {
    const uint32_t early = words[i - 15], late = words[i - 2];
    words[i] = words[i - 16] + (Rotated(early, 7) ^ Rotated(early, 18) ^ early >> 3) + words[i - 7] +
               (Rotated(late, 17) ^ Rotated(late, 19) ^ late >> 10);
  }
  auto [a, b, c, d, e, f, g, h] = *state;
  for (size_t i = 0; i < 64; ++i) {
    const uint32_t first = h + (Rotated(e, 6) ^ Rotated(e, 11) ^ Rotated(e, 25)) + ((e & f) ^ (~e & g)) +
                           kRoundConstants[i] + words[i];
    const uint32_t second = (Rotated(a, 2) ^ Rotated(a, 13) ^ Rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + second;
  }
  const State added = {a, b, c, d, e, f, g, h};
  for (size_t i = 0; i < added.size(); ++i) {
    (*state)[i] += added[i];
  }
}

}  // namespace

std::string Sha256(std::string_view bytes) {
  // The fractional parts of the square roots of the first 8 primes.
  State state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const size_t whole = bytes.size() / kBlock * kBlock;
  for (size_t place = 0; place < whole; place += kBlock) {
    AddBlock(bytes.data() + place, &state);
  }
  // The rest, a bit that is set, zeros, and the number of bits at the end of a block.
  std::string rest(bytes.substr(whole));
  rest += '\x80';
  rest.resize(rest.size() <= kLengthPlace ? kLengthPlace : kBlock + kLengthPlace);
  for (int shift = 56; shift >= 0; shift -= 8) {
    rest += static_cast<char>(uint64_t{bytes.size()} * 8 >> shift & 0xff);
  }
  for (size_t place = 0; place < rest.size(); place += kBlock) {
    AddBlock(rest.data() + place, &state);
  }
  std::string digits;
  for (const uint32_t word : state) {
    char text[9];
    std::snprintf(text, sizeof(text), "%08x", static_cast<unsigned>(word));
    digits += text;
  }
  return digits;
}

}  // namespace infer
