#include "read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace infer {
namespace {

[[noreturn]] void Fail(const std::filesystem::path &path) {
  throw std::system_error(errno, std::generic_category(), "cannot read " + path.string());
}

// Appends up to `count` bytes.
void ReadInto(std::vector<uint8_t> *bytes, size_t count, std::FILE *file, const std::filesystem::path &path) {
  uint8_t buffer[1 << 16];
  while (count > 0) {
    const size_t got = std::fread(buffer, 1, std::min(count, sizeof(buffer)), file);
    if (got == 0) {
      break;
    }
    bytes->insert(bytes->end(), buffer, buffer + got);
    count -= got;
  }
  if (std::ferror(file)) {
    Fail(path);
  }
}

void CheckRegular(const struct stat &status, const std::filesystem::path &path) {
  if (!S_ISREG(status.st_mode)) {
    throw NotRegularError(path.string() + " is not a regular file");
  }
}

}  // namespace

std::vector<uint8_t> ReadFile(const std::filesystem::path &path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) {
    Fail(path);
  }
  std::vector<uint8_t> bytes;
  ReadInto(&bytes, SIZE_MAX, file.get(), path);
  return bytes;
}

RegularFile::RegularFile(std::filesystem::path path) : path_(std::move(path)) {
  struct stat status {};
  if (stat(path_.c_str(), &status) != 0) {
    Fail(path_);
  }
  // Looked at before it is opened, which may move a device, and again afterwards, as it may have been replaced.
  CheckRegular(status, path_);
  const int descriptor = open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) {
    Fail(path_);
  }
  file_.reset(fdopen(descriptor, "rb"));
  if (!file_) {
    close(descriptor);
    Fail(path_);
  }
  if (fstat(descriptor, &status) != 0) {
    Fail(path_);
  }
  CheckRegular(status, path_);
  size_ = static_cast<uint64_t>(status.st_size);
}

void RegularFile::Read(size_t count, std::vector<uint8_t> *bytes) { ReadInto(bytes, count, file_.get(), path_); }

}  // namespace infer
