#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>

namespace infer {

// A file that is being written. It is removed unless it is renamed: by the destructor, and once
// RemoveTemporaryFilesOnSignals has been called, also where a signal ends the program.
class TemporaryFile {
 public:
  // Makes the file; get() is null and errno tells why if it cannot be made.
  explicit TemporaryFile(std::filesystem::path path);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile &) = delete;
  TemporaryFile &operator=(const TemporaryFile &) = delete;

  std::FILE *get() const { return file_.get(); }

  // Closes the file and gives it its name; returns false, and errno, if that fails.
  bool Rename(const std::filesystem::path &path);

 private:
  struct Close {
    void operator()(std::FILE *file) const { std::fclose(file); }
  };

  const std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
  bool is_renamed_ = false;
};

// Lets a signal that ends the program, such as that of Ctrl-C, remove its temporary files first. Those that are ignored
// stay so; writing into a closed pipe or beyond a limit becomes an error of the write. To be called once, before there is
// another thread.
void RemoveTemporaryFilesOnSignals();

}  // namespace infer
