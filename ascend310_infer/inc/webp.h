#pragma once

#include <cstdint>
#include <vector>

namespace infer {

bool IsWebp(const std::vector<uint8_t> &bytes);

// Returns the first picture of an animated WebP file as a file of its own, without its alpha channel, and any other file as
// it is: OpenCV decodes no animations. Throws ImageError if that picture is not as large as the animation, or is missing.
std::vector<uint8_t> FirstPicture(const std::vector<uint8_t> &bytes);

}  // namespace infer
