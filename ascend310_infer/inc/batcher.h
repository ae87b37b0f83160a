#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "image_loader.h"

namespace infer {

struct Batch {
  std::vector<size_t> indices;  // positions of its images in the list; fewer than the batch size in the last batch
  std::vector<float> values;    // the images one after the other; the places of the missing ones are zero
};

// Joins images to the batches of a network with a fixed batch size.
class Batcher {
 public:
  using Source = std::function<std::optional<LoadedImage>()>;
  using Skip = std::function<void(const LoadedImage &)>;

  // source: Gives the images one by one, and nothing after the last.
  // batch_size: Images in a batch, 1 or more.
  // elements: Values of an image.
  // skip: Is told of every unusable image, which is left out.
  Batcher(Source source, size_t batch_size, size_t elements, Skip skip);

  // Makes the next batch; returns nothing if there is no image for it.
  std::optional<Batch> Next();

 private:
  Source source_;
  size_t batch_size_;
  size_t elements_;
  Skip skip_;
};

}  // namespace infer
