#pragma once

#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace infer {

struct LoadedImage {
  size_t index;                // position of its path in the list
  std::vector<float> values;   // empty if the image is unusable
  std::string error;           // why it is
};

// Loads images in threads, ahead of the one who takes them, and hands them out in the order of their paths. At most
// `capacity` images are in memory, so a slow device holds the threads up.
class ImageLoader {
 public:
  // Loads one image; its std::exception makes the image an unusable one. Called from several threads.
  using Load = std::function<std::vector<float>(const std::filesystem::path &)>;

  // threads: 1 or more. capacity: 1 or more.
  ImageLoader(std::vector<std::filesystem::path> paths, Load load, unsigned threads, size_t capacity);
  ~ImageLoader();
  ImageLoader(const ImageLoader &) = delete;
  ImageLoader &operator=(const ImageLoader &) = delete;

  // Waits for the next image; returns nothing after the last.
  std::optional<LoadedImage> Next();

 private:
  void Work();
  void Stop();

  const std::vector<std::filesystem::path> paths_;
  const Load load_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<LoadedImage>> slots_;  // image i waits in slot i % capacity
  size_t started_ = 0;                             // images that a thread has begun
  size_t taken_ = 0;                               // images handed out
  bool is_stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace infer
