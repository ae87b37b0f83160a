#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "options.h"
#include "predictions.h"
#include "preprocess.h"

namespace infer {

// A model on a device. What fails throws std::runtime_error.
class ModelRunner {
 public:
  // Loads a model with one input, float32 N x 3 x H x W, and one output, float32 N x classes, and runs it on a few
  // images.
  //   threads: That compute, on CPU; 1 or more.
  ModelRunner(const std::filesystem::path &model_path, DeviceType device_type, uint32_t device_id, unsigned threads);
  ~ModelRunner();

  size_t batch_size() const;
  ImageSize image_size() const;
  size_t classes() const;
  Scores scores() const;

  // Runs the network on a whole batch of images; returns the rows of all of them.
  std::vector<float> Predict(const std::vector<float> &images);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Loads the model as often as predicts the most images a second: twice for an even number of cores, which the two share
// then, else once. The fewer threads compute an image, the less they wait for each other.
std::vector<std::unique_ptr<ModelRunner>> LoadModels(const std::filesystem::path &model_path, DeviceType device_type,
                                                     uint32_t device_id);

}  // namespace infer
