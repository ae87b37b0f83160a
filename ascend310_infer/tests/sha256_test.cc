#include "sha256.h"

#include <gtest/gtest.h>

#include <string>

namespace infer {
namespace {

// The examples of FIPS 180-4, and what Python's hashlib gives.
TEST(Sha256Test, IsThatOfTheStandard) {
  EXPECT_EQ(Sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(Sha256(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// Every length of the last block, and bytes of every value: the digest of the digests of the first 0 to 255 bytes.
TEST(Sha256Test, IsThatOfBytesOfAnyNumber) {
  std::string bytes, digests;
  for (int value = 0; value < 256; ++value) {
    digests += Sha256(bytes);
    bytes += static_cast<char>(value);
  }
  EXPECT_EQ(Sha256(digests), "c6af0de529d59e462ef135e191c98cb5a7e18ca9d6e63e3d62c82afe131a25d4");
}

}  // namespace
}  // namespace infer
