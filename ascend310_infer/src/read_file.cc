#include "read_file.h"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

namespace infer {
namespace {

[[noreturn]] void Fail(const std::filesystem::path &path) {
  throw std::system_error(errno, std::generic_category(), "cannot read " + path.string());
}

}  // namespace

std::vector<uint8_t> ReadFile(const std::filesystem::path &path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE *)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) {
    Fail(path);
  }
  std::vector<uint8_t> bytes;
  uint8_t buffer[1 << 16];
  while (const size_t count = std::fread(buffer, 1, sizeof(buffer), file.get())) {
    bytes.insert(bytes.end(), buffer, buffer + count);
  }
  if (std::ferror(file.get())) {
    Fail(path);
  }
  return bytes;
}

}  // namespace infer
