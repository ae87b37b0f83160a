#include "class_names.h"

#include <fstream>

#include "errors.h"

namespace infer {

std::vector<std::string> ReadClassNames(const std::filesystem::path &path, size_t classes) {
  std::ifstream file(path);
  std::vector<std::string> names;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') {
      line.pop_back();
    }
    names.push_back(line);
  }
  if (!file.eof()) {
    throw UsageError("cannot read the class names " + path.string());
  }
  if (names.size() != classes) {
    throw UsageError(path.string() + " has " + std::to_string(names.size()) + " lines, but the model has " +
                     std::to_string(classes) + " classes: give one name a line for each");
  }
  return names;
}

}  // namespace infer
