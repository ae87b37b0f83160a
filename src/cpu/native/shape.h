// The sizes of a channels-last tensor: (images, height, width, channels), the channels of a pixel beside one another.
#pragma once

#include <cstdint>

namespace xception {

using Index = std::int64_t;

struct Shape {
  Index images, height, width, channels;
  Index Pixels() const { return images * height * width; }
  Index Values() const { return Pixels() * channels; }
  Index Row() const { return width * channels; }
  Index Image() const { return height * Row(); }
};

}  // namespace xception
