#pragma once

#include <string>
#include <string_view>

namespace infer {

// Returns the SHA-256 digest of bytes, as 64 hexadecimal digits in lower case.
std::string Sha256(std::string_view bytes);

}  // namespace infer
