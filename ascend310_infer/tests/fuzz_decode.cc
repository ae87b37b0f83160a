// fuzz_decode [COUNT]: decodes and preprocesses mutated image files; what is not an ImageError ends the program, and so
// does what the sanitizers find. The mutations are the same in every run.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <opencv2/imgcodecs.hpp>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "errors.h"
#include "image.h"
#include "preprocess.h"

namespace {

using Bytes = std::vector<uint8_t>;

// A small file of every kind.
std::vector<Bytes> MakeFiles(std::mt19937 *random) {
  cv::Mat colour(24, 37, CV_8UC3);
  std::generate(colour.data, colour.data + 3 * colour.total(), [&] { return static_cast<uint8_t>((*random)()); });
  const cv::Mat grey(19, 23, CV_8UC1, cv::Scalar(90));
  struct Kind {
    const char *suffix;
    const cv::Mat &image;
    std::vector<int> parameters;
  };
  const std::vector<Kind> kinds = {{".jpg", colour, {}},
                                   {".jpg", colour, {cv::IMWRITE_JPEG_PROGRESSIVE, 1}},
                                   {".jpg", colour, {cv::IMWRITE_JPEG_RST_INTERVAL, 2}},
                                   {".jpg", grey, {}},
                                   {".png", colour, {}},
                                   {".png", grey, {}},
                                   {".bmp", colour, {}},
                                   {".bmp", grey, {}},
                                   {".tif", colour, {}},
                                   {".tif", colour, {cv::IMWRITE_TIFF_COMPRESSION, 1}},
                                   {".webp", colour, {}},
                                   {".webp", grey, {cv::IMWRITE_WEBP_QUALITY, 101}}};
  std::vector<Bytes> files(kinds.size());
  for (size_t index = 0; index < kinds.size(); ++index) {
    if (!cv::imencode(kinds[index].suffix, kinds[index].image, files[index], kinds[index].parameters)) {
      throw std::runtime_error(std::string("cannot encode a ") + kinds[index].suffix + " file");
    }
  }
  return files;
}

// Changes, inserts, removes or repeats bytes, most often near the beginning, where the headers are.
void Mutate(Bytes *bytes, std::mt19937 *random) {
  const auto below = [&](size_t end) { return static_cast<size_t>((*random)()) % std::max(end, size_t{1}); };
  const size_t changes = 1 + below(8);
  for (size_t change = 0; change < changes && !bytes->empty(); ++change) {
    const size_t reach = below(2) ? std::min<size_t>(bytes->size(), 200) : bytes->size();
    const auto place = bytes->begin() + static_cast<long>(below(reach));
    switch (below(6)) {
      case 0:
        *place = static_cast<uint8_t>(below(256));
        break;
      case 1:
        *place ^= static_cast<uint8_t>(1 << below(8));
        break;
      case 2:
        *place = below(2) ? 0xff : 0;
        break;
      case 3:
        bytes->insert(place, 1 + below(4), static_cast<uint8_t>(below(256)));
        break;
      case 4:
        bytes->erase(place);
        break;
      default:
        if (below(4) == 0) {
          bytes->erase(place, bytes->end());
        }
    }
  }
}

}  // namespace

int main(int argc, char **argv) {
  const size_t count = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 10000;
  std::mt19937 random(1);
  const std::vector<Bytes> files = MakeFiles(&random);
  size_t decoded = 0;
  for (size_t index = 0; index < count; ++index) {
    Bytes bytes = files[index % files.size()];
    Mutate(&bytes, &random);
    try {
      decoded += infer::Preprocess(infer::DecodeImage(bytes, infer::kDefaultMaxPixels), {71, 71}, {}).size() == 3 * 71 * 71;
    } catch (const infer::ImageError &) {
    }
  }
  std::printf("decoded %zu of %zu mutated files, refused the others\n", decoded, count);
  return decoded > 0 && decoded < count ? 0 : 1;
}
