#pragma once

namespace infer {

// Number of cores that this process may use, 1 or more.
unsigned AvailableCores();

}  // namespace infer
