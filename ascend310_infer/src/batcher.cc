#include "batcher.h"

#include <algorithm>
#include <utility>

namespace infer {

Batcher::Batcher(Source source, size_t batch_size, size_t elements, Skip skip)
    : source_(std::move(source)),
      batch_size_(batch_size),
      elements_(elements),
      skip_(std::move(skip)),
      values_(batch_size * elements) {}

bool Batcher::Fill() {
  indices_.clear();
  auto end = values_.begin();
  while (indices_.size() < batch_size_) {
    const std::optional<LoadedImage> image = source_();
    if (!image) {
      break;
    }
    if (image->values.size() != elements_) {
      skip_(*image);
      continue;
    }
    end = std::copy(image->values.begin(), image->values.end(), end);
    indices_.push_back(image->index);
  }
  std::fill(end, values_.end(), 0.0f);
  return !indices_.empty();
}

}  // namespace infer
