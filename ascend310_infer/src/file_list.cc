#include "file_list.h"

#include <algorithm>
#include <cctype>
#include <system_error>

namespace fs = std::filesystem;

namespace infer {
namespace {

bool HasImageSuffix(const std::string &name) {
  std::string suffix = fs::path(name).extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char letter) { return std::tolower(letter); });
  return std::find(kImageSuffixes.begin(), kImageSuffixes.end(), suffix) != kImageSuffixes.end();
}

// `ancestors` are the real paths from the first folder down to this one: a link back to one of them is a loop.
void Walk(const fs::path &folder, const std::string &prefix, std::vector<fs::path> *ancestors, FileList *found) {
  const fs::path real = fs::canonical(folder);
  if (std::find(ancestors->begin(), ancestors->end(), real) != ancestors->end()) {
    return;
  }
  ancestors->push_back(real);
  for (const fs::directory_entry &entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.front() == '.') {
      continue;
    }
    std::error_code broken_link;  // such a name is a file that cannot be read: its turn comes later
    if (entry.is_directory(broken_link)) {
      Walk(entry.path(), prefix + name + '/', ancestors, found);
    } else if (HasImageSuffix(name)) {
      found->images.push_back(prefix + name);
    } else {
      ++found->passed_over;
    }
  }
  ancestors->pop_back();
}

}  // namespace

FileList ListImages(const fs::path &folder) {
  FileList found;
  std::vector<fs::path> ancestors;
  Walk(folder, "", &ancestors, &found);
  std::sort(found.images.begin(), found.images.end());
  return found;
}

}  // namespace infer
