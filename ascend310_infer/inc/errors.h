#pragma once

#include <stdexcept>

namespace infer {

// A mistake in the call of the program; ends it with status 2.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A file that is no usable image; it is skipped.
struct ImageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace infer
