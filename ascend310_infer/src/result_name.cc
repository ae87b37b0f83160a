#include "result_name.h"

#include <climits>
#include <cstddef>
#include <unordered_map>

#include "errors.h"

namespace infer {
namespace {

constexpr char kEnding[] = "_0.bin";

std::string Flatten(const std::string &path) {
  std::string flat;
  for (const char letter : path) {
    flat += letter == '/' ? std::string("__") : std::string(1, letter);
  }
  return flat;
}

}  // namespace

std::vector<std::string> ResultNames(const std::vector<std::string> &images) {
  std::unordered_map<std::string, size_t> uses;  // of a path without its suffix
  for (const std::string &image : images) {
    ++uses[image.substr(0, image.rfind('.'))];
  }
  std::vector<std::string> names;
  std::unordered_map<std::string, std::string> owners;
  for (const std::string &image : images) {
    const std::string stem = image.substr(0, image.rfind('.'));
    const std::string name = Flatten(uses[stem] == 1 ? stem : image) + kEnding;
    if (name.size() > NAME_MAX) {
      throw UsageError("the path " + image + " is too long for the name of its result file: shorten it");
    }
    const auto [owner, is_new] = owners.emplace(name, image);
    if (!is_new) {
      throw UsageError(owner->second + " and " + image + " would both write " + name + ": rename one of them");
    }
    names.push_back(name);
  }
  return names;
}

}  // namespace infer
