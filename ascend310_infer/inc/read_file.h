#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <vector>

namespace infer {

// Reads a whole file; throws std::system_error with the path.
std::vector<uint8_t> ReadFile(const std::filesystem::path &path);

// What a path names is a folder, a FIFO, a socket or a device.
struct NotRegularError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A regular file, open for reading. Another kind, also behind a link, is refused before it is read: reading might wait for
// ever or never end. What fails throws NotRegularError, and std::system_error with the path.
class RegularFile {
 public:
  explicit RegularFile(std::filesystem::path path);

  uint64_t size() const { return size_; }

  // Appends the next bytes, `count` of them unless the file ends before.
  void Read(size_t count, std::vector<uint8_t> *bytes);

 private:
  struct Close {
    void operator()(std::FILE *file) const { std::fclose(file); }
  };

  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
  uint64_t size_ = 0;
};

}  // namespace infer
