#pragma once

#include "options.h"

namespace infer {

// Predicts every image of the data set and writes the results; reports on stdout, and what is unusual, such
// as skipped images, on stderr. Returns whether no image was skipped. Throws UsageError, and another std::exception for any failure.
bool Classify(const Options &options);

}  // namespace infer
