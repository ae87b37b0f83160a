#include "output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace fs = std::filesystem;

namespace infer {
namespace {

constexpr char kBeingWritten[] = ".writing-";

}  // namespace

OutputFile::OutputFile(fs::path path)
    : path_(std::move(path)),
      // Not derived from the name, which may be as long as a name can be. A program writes its files of a kind one at
      // a time.
      temporary_(path_.parent_path() / (kBeingWritten + std::to_string(getpid()) + path_.extension().string())),
      file_(std::fopen(temporary_.c_str(), "wb")) {
  if (!file_) {
    Fail();
  }
}

OutputFile::~OutputFile() {
  if (!is_committed_) {
    std::remove(temporary_.c_str());
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
  // Some file systems tell only here that they are full.
  if (std::fclose(file_.release()) != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    Fail();
  }
  is_committed_ = true;
}

void OutputFile::Fail() const {
  throw std::system_error(errno, std::generic_category(), "cannot write " + path_.string());
}

bool IsBeingWritten(const std::string &name) { return name.rfind(kBeingWritten, 0) == 0; }

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
