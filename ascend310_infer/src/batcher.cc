#include "batcher.h"

#include <utility>

namespace infer {

Batcher::Batcher(Source source, size_t batch_size, size_t elements, Skip skip)
    : source_(std::move(source)),
      batch_size_(batch_size),
      elements_(elements),
      skip_(std::move(skip)) {}

std::optional<Batch> Batcher::Next() {
  Batch batch;
  batch.values.reserve(batch_size_ * elements_);
  while (batch.indices.size() < batch_size_) {
    const std::optional<LoadedImage> image = source_();
    if (!image) {
      break;
    }
    if (image->values.size() != elements_) {
      skip_(*image);
      continue;
    }
    batch.values.insert(batch.values.end(), image->values.begin(), image->values.end());
    batch.indices.push_back(image->index);
  }
  if (batch.indices.empty()) {
    return std::nullopt;
  }
  batch.values.resize(batch_size_ * elements_);
  return batch;
}

}  // namespace infer
