#include "image_loader.h"

#include <exception>
#include <utility>

namespace infer {

ImageLoader::ImageLoader(std::vector<std::filesystem::path> paths, Load load, unsigned threads, size_t capacity)
    : paths_(std::move(paths)), load_(std::move(load)), slots_(capacity) {
  try {
    while (threads_.size() < threads) {
      threads_.emplace_back(&ImageLoader::Work, this);
    }
  } catch (...) {
    Stop();
    throw;
  }
}

ImageLoader::~ImageLoader() { Stop(); }

std::optional<LoadedImage> ImageLoader::Next() {
  std::unique_lock lock(mutex_);
  if (taken_ == paths_.size()) {
    return std::nullopt;
  }
  std::optional<LoadedImage> &slot = slots_[taken_ % slots_.size()];
  changed_.wait(lock, [&] { return slot.has_value(); });
  std::optional<LoadedImage> image = std::exchange(slot, std::nullopt);
  ++taken_;
  lock.unlock();
  changed_.notify_all();
  return image;
}

void ImageLoader::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] {
      return is_stopped_ || started_ == paths_.size() || started_ < taken_ + slots_.size();
    });
    if (is_stopped_ || started_ == paths_.size()) {
      return;
    }
    LoadedImage image{started_++, {}, ""};
    lock.unlock();
    try {
      image.values = load_(paths_[image.index]);
    } catch (const std::exception &error) {
      image.error = error.what();
    }
    lock.lock();
    slots_[image.index % slots_.size()] = std::move(image);
    changed_.notify_all();
  }
}

void ImageLoader::Stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
  }
  changed_.notify_all();
  for (std::thread &thread : threads_) {
    thread.join();
  }
}

}  // namespace infer
