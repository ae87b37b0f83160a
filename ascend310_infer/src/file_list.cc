#include "file_list.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <set>
#include <system_error>
#include <utility>

namespace fs = std::filesystem;

namespace infer {
namespace {

using Identity = std::pair<dev_t, ino_t>;

std::string SuffixOf(const std::string &name) {
  std::string suffix = fs::path(name).extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char letter) { return std::tolower(letter); });
  return suffix;
}

bool IsImageSuffix(const std::string &suffix) {
  return std::find(kImageSuffixes.begin(), kImageSuffixes.end(), suffix) != kImageSuffixes.end();
}

Identity Identify(const fs::path &folder, std::error_code *error) {
  struct stat status {};
  if (stat(folder.c_str(), &status) != 0) {
    *error = std::error_code(errno, std::generic_category());
  }
  return {status.st_dev, status.st_ino};
}

// Returns the entries of a folder that are not hidden, by name.
std::vector<fs::directory_entry> ListEntries(const fs::path &folder, std::error_code *error) {
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator place(folder, *error); !*error && place != fs::directory_iterator();
       place.increment(*error)) {
    if (place->path().filename().string().front() != '.') {
      entries.push_back(*place);
    }
  }
  std::sort(entries.begin(), entries.end(), [](const fs::directory_entry &one, const fs::directory_entry &other) {
    return one.path().native() < other.path().native();
  });
  return entries;
}

class Walker {
 public:
  explicit Walker(fs::path top) : top_(std::move(top)) {}

  FileList Walk() {
    std::error_code error;
    const Identity identity = Identify(top_, &error);
    const std::vector<fs::directory_entry> entries = error ? std::vector<fs::directory_entry>{} : ListEntries(top_, &error);
    if (error) {
      throw fs::filesystem_error("cannot read the folder of the images", top_, error);
    }
    for (const fs::directory_entry &entry : entries) {
      seen_ = {identity};
      Take(entry, "");
    }
    std::sort(found_.images.begin(), found_.images.end());
    return std::move(found_);
  }

 private:
  void Take(const fs::directory_entry &entry, const std::string &prefix) {
    const std::string name = entry.path().filename().string();
    const std::string suffix = SuffixOf(name);
    std::error_code error;
    if (entry.is_directory(error)) {
      WalkInto(entry.path(), prefix + name);
    } else if (IsImageSuffix(suffix)) {
      found_.images.push_back(prefix + name);  // a broken link, too: its turn to be reported comes later
    } else if (error && error != std::errc::no_such_file_or_directory) {
      found_.unread.push_back({prefix + name, error.message()});
    } else {
      ++found_.passed_over[suffix];
    }
  }

  void WalkInto(const fs::path &folder, const std::string &relative) {
    std::error_code error;
    const Identity identity = Identify(folder, &error);
    if (!error && !seen_.insert(identity).second) {
      ++found_.repeated;
      return;
    }
    const std::vector<fs::directory_entry> entries =
        error ? std::vector<fs::directory_entry>{} : ListEntries(folder, &error);
    for (const fs::directory_entry &entry : entries) {
      Take(entry, relative + '/');
    }
    if (error) {
      found_.unread.push_back({relative, error.message()});
    }
  }

  fs::path top_;
  std::set<Identity> seen_;  // below one of the folders in the top one
  FileList found_;
};

}  // namespace

FileList ListImages(const fs::path &folder) { return Walker(folder).Walk(); }

}  // namespace infer
