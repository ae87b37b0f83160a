#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "temporary_file.h"

namespace infer {

// A file that appears under its name whole or not at all: without Commit, nothing is left behind. What fails throws std::system_error with the path.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path);

  void Write(const void *data, size_t size);
  void Write(const std::string &text) { Write(text.data(), text.size()); }

  // Flushes the content to the disk and gives the file its name; an existing file is replaced.
  void Commit();

 private:
  [[noreturn]] void Fail() const;

  const std::filesystem::path path_;
  TemporaryFile file_;
};

// Whether a file of this name is one that an OutputFile, of any process, has not committed.
bool IsBeingWritten(const std::string &name);

// Removes the files in a folder that runs have not committed which were killed. No other run may write to it.
void RemoveUncommitted(const std::filesystem::path &folder);

// Flushes the names of the folder's files to the disk.
void FlushFolder(const std::filesystem::path &folder);

}  // namespace infer
