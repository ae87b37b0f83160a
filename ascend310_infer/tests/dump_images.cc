// dump_images HEIGHT WIDTH CROP_PCT INTERPOLATION: reads paths from stdin, a line each, and writes what the network would
// be given to stdout: for each a byte, 1 if the image is usable, and then its float32 values.

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "image.h"
#include "preprocess.h"

int main(int argc, char **argv) {
  const std::string interpolation = argc == 5 ? argv[4] : "";
  if (interpolation != "bilinear" && interpolation != "bicubic") {
    std::cerr << "usage: dump_images HEIGHT WIDTH CROP_PCT bilinear|bicubic <PATHS" << std::endl;
    return 2;
  }
  const infer::ImageSize size{std::atoi(argv[1]), std::atoi(argv[2])};
  const infer::Resizing resizing{std::atof(argv[3]), interpolation == "bicubic" ? infer::Interpolation::kBicubic
                                                                                : infer::Interpolation::kBilinear};
  for (std::string path; std::getline(std::cin, path);) {
    try {
      const std::vector<float> values = infer::LoadImage(path, size, resizing, infer::kDefaultMaxPixels);
      std::putchar(1);
      std::fwrite(values.data(), sizeof(float), values.size(), stdout);
    } catch (const std::exception &error) {
      std::putchar(0);
      std::cerr << path << ": " << error.what() << std::endl;
    }
  }
  return std::fflush(stdout) == 0 && !std::ferror(stdout) ? 0 : 1;
}
