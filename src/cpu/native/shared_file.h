// A file that all ranks open, and by whose locks each knows which of the others still live.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

namespace xception {

class SharedFile {
 public:
  // Opens it for a rank, which has it alone. Throws what is wrong.
  SharedFile(const std::string &path, int rank) : file_(open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    if (file_ < 0) {
      Fail("the ranks' memory cannot be opened");
    }
    struct flock lock = LockOf(rank);
    if (fcntl(file_, F_OFD_SETLK, &lock) != 0) {
      const int error = errno;
      Close();
      errno = error;
      Fail("the ranks' memory cannot be locked");
    }
  }
  SharedFile(const SharedFile &) = delete;
  SharedFile &operator=(const SharedFile &) = delete;
  ~SharedFile() { Close(); }

  // A child that its parent has forked must do this, or others would not notice the parent's end before the child's.
  void Close() {
    if (file_ >= 0) {
      close(std::exchange(file_, -1));
    }
  }

  // The first bytes of it. Throws what is wrong, as that there are fewer: using those would end the process.
  std::shared_ptr<char> Map(std::size_t bytes) const {
    struct stat status {};
    void *mapped = MAP_FAILED;
    if (fstat(file_, &status) == 0 && static_cast<std::size_t>(status.st_size) < bytes) {
      errno = ENOSPC;
    } else {
      mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    }
    if (mapped == MAP_FAILED) {
      Fail("the ranks' memory cannot be used");
    }
    madvise(mapped, bytes, MADV_DONTFORK);  // what a child has mapped it would keep open for its parent
    return {static_cast<char *>(mapped), [bytes](char *memory) { munmap(memory, bytes); }};
  }

  // Whether another rank has opened it and not closed it since, as the system does when a process ends.
  bool IsOpenedBy(int rank) const {
    struct flock lock = LockOf(rank);
    return fcntl(file_, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
  }

 private:
  // Of the byte that stands for a rank.
  static struct flock LockOf(int rank) {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = rank;
    lock.l_len = 1;
    return lock;
  }

  [[noreturn]] static void Fail(const std::string &what) {
    throw std::system_error(errno, std::generic_category(), what);
  }

  int file_;
};

}  // namespace xception
