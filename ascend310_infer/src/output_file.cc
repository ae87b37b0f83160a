#include "output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>
#include <vector>

namespace fs = std::filesystem;

namespace infer {
namespace {

constexpr char kBeingWritten[] = ".writing-";

}  // namespace

OutputFile::OutputFile(fs::path path)
    : path_(std::move(path)),
      // Not derived from the name, which may be as long as a name can be. A program writes its files of a kind one at
      // a time.
      file_(path_.parent_path() / (kBeingWritten + std::to_string(getpid()) + path_.extension().string())) {
  if (!file_.get()) {
    Fail();
  }
}

void OutputFile::Write(const void *data, size_t size) {
  if (std::fwrite(data, 1, size, file_.get()) != size) {
    Fail();
  }
}

void OutputFile::Commit() {
  // Flushed before it has its name, so that not even a power cut leaves half a file under it.
  if (std::fflush(file_.get()) != 0 || fsync(fileno(file_.get())) != 0) {
    Fail();
  }
  if (!file_.Rename(path_)) {
    Fail();
  }
}

void OutputFile::Fail() const {
  throw std::system_error(errno, std::generic_category(), "cannot write " + path_.string());
}

bool IsBeingWritten(const std::string &name) { return name.rfind(kBeingWritten, 0) == 0; }

void RemoveUncommitted(const fs::path &folder) {
  std::vector<fs::path> paths;
  for (const fs::directory_entry &entry : fs::directory_iterator(folder)) {
    if (IsBeingWritten(entry.path().filename().string())) {
      paths.push_back(entry.path());
    }
  }
  for (const fs::path &path : paths) {
    fs::remove(path);
  }
}

void FlushFolder(const fs::path &folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // Some network file systems flush no folders and say EINVAL.
  const bool is_flushed = descriptor >= 0 && (fsync(descriptor) == 0 || errno == EINVAL);
  const int error = errno;
  if (descriptor >= 0) {
    close(descriptor);
  }
  if (!is_flushed) {
    throw std::system_error(error, std::generic_category(), "cannot write " + folder.string());
  }
}

}  // namespace infer
