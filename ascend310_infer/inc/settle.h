#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "metadata.h"
#include "preprocess.h"

namespace infer {

// What a model takes and gives.
struct ModelShape {
  std::filesystem::path path;
  ImageSize image_size;
  size_t classes;
};

// What counts of that which the metadata and the user say of a model.
struct Settled {
  std::vector<std::string> class_names;  // the name of every class, or nothing
  std::string description;               // JSON as ParseMetadata takes it, for scoring; empty: nothing is known
  Resizing resizing;                     // the recipe's where the metadata says nothing
  std::vector<std::string> remarks;      // lines for the user: what differs, and what is assumed
};

// Lets the class names of the user count, else those of the metadata.
//   given: The user's name for every class, or nothing.
// Throws std::runtime_error for metadata of another number of classes.
Settled Settle(const ModelShape &model, const Metadata &metadata, const std::vector<std::string> &given);

}  // namespace infer
