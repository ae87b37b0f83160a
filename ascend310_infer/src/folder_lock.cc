#include "folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <string>
#include <system_error>

#include "errors.h"
#include "printable.h"

namespace infer {

FolderLock::FolderLock(const std::filesystem::path &folder, const char *option)
    : descriptor_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) {
    throw std::system_error(errno, std::generic_category(), "cannot open " + folder.string());
  }
  if (flock(descriptor_, LOCK_EX | LOCK_NB) == 0) {
    return;
  }
  const int error = errno;
  if (error == EWOULDBLOCK) {
    close(descriptor_);
    throw UsageError("another run writes to " + folder.string() + ": wait for its end, or give another " + option);
  }
  std::cerr << "note: " << Printable(folder.string()) << " cannot be locked ("
            << std::generic_category().message(error) << "): let no other run write to it" << std::endl;
}

FolderLock::~FolderLock() { close(descriptor_); }

}  // namespace infer
