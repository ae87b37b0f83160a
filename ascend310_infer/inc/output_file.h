#pragma once

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

namespace infer {

// A file that appears under its name whole or not at all. What fails throws std::system_error with the path.
class OutputFile {
 public:
  explicit OutputFile(std::filesystem::path path);
  ~OutputFile();  // without Commit, nothing is left behind
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;

  void Write(const void *data, size_t size);
  void Write(const std::string &text) { Write(text.data(), text.size()); }

  // Flushes the content to the disk and gives the file its name; an existing file is replaced.
  void Commit();

 private:
  struct Close {
    void operator()(std::FILE *file) const { std::fclose(file); }
  };

  [[noreturn]] void Fail() const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::unique_ptr<std::FILE, Close> file_;
  bool is_committed_ = false;
};

// Whether a file of this name is one that an OutputFile, of any process, has not committed.
bool IsBeingWritten(const std::string &name);

// Flushes the names of the folder's files to the disk.
void FlushFolder(const std::filesystem::path &folder);

}  // namespace infer
