#include "result_name.h"

#include <climits>
#include <cstddef>
#include <unordered_map>

#include "errors.h"
#include "sha256.h"

namespace infer {
namespace {

constexpr char kEnding[] = "_0.bin";
constexpr char kCut[] = "~";
constexpr size_t kDigits = 16;

std::string Flatten(const std::string &path) {
  std::string flat;
  for (const char letter : path) {
    flat += letter == '/' ? std::string("__") : std::string(1, letter);
  }
  return flat;
}

// Cuts a name that is too long for a file. The digest tells it from others that begin alike.
std::string Shorten(const std::string &name, const std::string &image) {
  const std::string ending = kCut + Sha256(image).substr(0, kDigits) + kEnding;
  size_t kept = NAME_MAX - ending.size();
  while (kept > 0 && (static_cast<unsigned char>(name[kept]) & 0xc0) == 0x80) {
    --kept;  // inside a letter of UTF-8
  }
  return name.substr(0, kept) + ending;
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
    std::string name = Flatten(uses[stem] == 1 ? stem : image) + kEnding;
    if (name.size() > NAME_MAX) {
      name = Shorten(name, image);
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
