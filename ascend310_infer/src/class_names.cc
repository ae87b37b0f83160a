#include "class_names.h"

#include <fstream>
#include <string_view>

#include "errors.h"

namespace infer {
namespace {

constexpr std::string_view kMark = "\xEF\xBB\xBF";  // with which some editors begin a file

// Whether a text is UTF-8: without overlong forms, surrogates and what lies past U+10FFFF.
bool IsUtf8(std::string_view text) {
  size_t place = 0;
  while (place < text.size()) {
    const auto lead = static_cast<unsigned char>(text[place++]);
    if ((lead >= 0x80 && lead < 0xC2) || lead > 0xF4) {
      return false;
    }
    unsigned lowest = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned highest = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    for (int more = (lead >= 0xC2) + (lead >= 0xE0) + (lead >= 0xF0); more > 0; --more) {
      const unsigned byte = place < text.size() ? static_cast<unsigned char>(text[place++]) : 0;
      if (byte < lowest || byte > highest) {
        return false;
      }
      lowest = 0x80;
      highest = 0xBF;
    }
  }
  return true;
}

// Returns the lines of a text, which end in one or both of \r and \n.
std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  for (size_t begin = 0;;) {
    const size_t end = text.find_first_of("\r\n", begin);
    lines.emplace_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) {
      return lines;
    }
    begin = end + (text.substr(end, 2) == "\r\n" ? 2 : 1);
  }
}

}  // namespace

std::vector<std::string> ReadClassNames(const std::filesystem::path &path, size_t classes) {
  std::ifstream file(path, std::ios::binary);
  std::string content;
  for (std::string line; std::getline(file, line);) {
    content += line + '\n';
  }
  if (!file.eof()) {
    throw UsageError("cannot read the class names " + path.string());
  }
  if (!IsUtf8(content)) {
    throw UsageError(path.string() + " is no UTF-8 text: class names stand in a text file, one a line");
  }
  std::string_view text = content;
  if (text.substr(0, kMark.size()) == kMark) {
    text.remove_prefix(kMark.size());
  }
  const std::vector<std::string> names = Lines(text.substr(0, text.find_last_not_of("\r\n") + 1));
  if (names.size() != classes) {
    throw UsageError(path.string() + " has " + std::to_string(names.size()) + " names, but the network has " +
                     std::to_string(classes) + " classes: give another file with --class_names");
  }
  return names;
}

}  // namespace infer
