#pragma once

#include <optional>
#include <string>
#include <vector>

namespace infer {

// What a model's weights mean, as far as this program needs it; what is not known is absent.
struct Metadata {
  std::string text;                      // the JSON that it stands in; empty: nothing is known
  std::vector<std::string> class_names;  // of class 0, 1, ...
  std::optional<int> image_size;         // side of the training's images in pixels
  std::optional<double> crop_pct;        // side of the centre crop as a share of the resized shorter side
  std::optional<std::string> interpolation;  // bilinear or bicubic
};

// Reads JSON as parse_metadata of src/metadata/metadata.py does, which has the format.
//   where: The file, for the message.
// Throws std::runtime_error for what is damaged or of a newer format, and for images that are normalised in another way
// than this program does.
Metadata ParseMetadata(const std::string &text, const std::string &where);

// Returns JSON text, which ParseMetadata takes, with other class names: those of a user count more than the file's.
//   text: Empty: nothing but the names is known.
//   class_names: Where one of them is empty, the text has none, as its format has no empty names.
std::string WithClassNames(const std::string &text, const std::vector<std::string> &class_names);

}  // namespace infer
