#pragma once

#include <filesystem>

#include "metadata.h"

namespace infer {

// Reads what a MINDIR file says of its weights, and checks its digest, as src/metadata/model_entries.py does, which
// writes both. Of a file without metadata, or that is no protobuf, the text is empty.
// Throws std::runtime_error if the content is not what the digest was taken of, or ParseMetadata throws it, and
// std::system_error if the file cannot be read.
Metadata ReadModelMetadata(const std::filesystem::path &path);

}  // namespace infer
