#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>

#include "image.h"

namespace infer {

enum class DeviceType { kAscend310, kAscend310P, kGpu, kCpu };

struct Options {
  std::filesystem::path model_path;
  std::filesystem::path dataset_path;
  DeviceType device_type = DeviceType::kAscend310;
  uint32_t device_id = 0;
  std::filesystem::path result_path = "result_Files";
  std::filesystem::path time_path = "time_Result";
  unsigned threads = 1;  // that decode; the parser sets the number of cores
  size_t topk = 5;
  uint64_t max_image_pixels = kDefaultMaxPixels;
  std::filesystem::path class_names;  // empty: the model's own, if it has any
};

// Returns the options of the command line, or nothing after --help, which is printed.
// Throws UsageError for a wrong or missing option.
std::optional<Options> ParseOptions(int argc, const char *const *argv);

}  // namespace infer
