#pragma once

#include <filesystem>

namespace infer {

// Keeps other runs of the program from writing to a folder, until this object or the process ends.
class FolderLock {
 public:
  // Throws UsageError if another run has the folder, and std::system_error if it cannot be opened. Some network file systems
  // lock no folders: a line on stderr says so then.
  //   option: That gives the folder, for the message.
  FolderLock(const std::filesystem::path &folder, const char *option);
  ~FolderLock();
  FolderLock(const FolderLock &) = delete;
  FolderLock &operator=(const FolderLock &) = delete;

 private:
  int descriptor_;
};

}  // namespace infer
