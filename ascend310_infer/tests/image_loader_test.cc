#include "image_loader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace fs = std::filesystem;

namespace infer {
namespace {

std::vector<fs::path> Numbers(int count) {
  std::vector<fs::path> paths;
  for (int number = 0; number < count; ++number) {
    paths.push_back(std::to_string(number));
  }
  return paths;
}

std::vector<float> ToValues(const fs::path &path) { return {std::stof(path.string())}; }

TEST(ImageLoader, KeepsTheOrderWithAnyNumberOfThreads) {
  for (const unsigned threads : {1u, 3u, 16u}) {
    ImageLoader loader(Numbers(500), ToValues, threads, 5);
    for (size_t index = 0; index < 500; ++index) {
      const std::optional<LoadedImage> image = loader.Next();
      ASSERT_TRUE(image);
      EXPECT_EQ(image->index, index);
      EXPECT_EQ(image->values, std::vector<float>{static_cast<float>(index)});
    }
    EXPECT_FALSE(loader.Next());
    EXPECT_FALSE(loader.Next());
  }
}

TEST(ImageLoader, NeverLoadsMoreThanItsCapacityAhead) {
  std::atomic<int> loaded = 0;
  int most_ahead = 0;
  ImageLoader loader(
      Numbers(100),
      [&](const fs::path &path) {
        ++loaded;
        return ToValues(path);
      },
      4, 3);
  for (int taken = 0; taken < 100; ++taken) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    most_ahead = std::max(most_ahead, loaded - taken);
    loader.Next();
  }
  EXPECT_EQ(loaded, 100);
  EXPECT_LE(most_ahead, 3);
}

TEST(ImageLoader, AnErrorBelongsToItsImageAlone) {
  ImageLoader loader(
      Numbers(3),
      [](const fs::path &path) {
        return path == "1" ? throw std::runtime_error("bad") : ToValues(path);
      },
      2, 2);
  EXPECT_EQ(loader.Next()->error, "");
  const std::optional<LoadedImage> bad = loader.Next();
  EXPECT_EQ(bad->error, "bad");
  EXPECT_TRUE(bad->values.empty());
  EXPECT_EQ(loader.Next()->values, std::vector<float>{2});
}

TEST(ImageLoader, StopsWithImagesLeft) {
  ImageLoader loader(Numbers(1000), ToValues, 4, 2);
  EXPECT_EQ(loader.Next()->index, 0u);
}

TEST(ImageLoader, OfNothingGivesNothing) { EXPECT_FALSE(ImageLoader({}, ToValues, 2, 1).Next()); }

}  // namespace
}  // namespace infer
