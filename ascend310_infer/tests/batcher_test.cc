#include "batcher.h"

#include <gtest/gtest.h>

#include <optional>
#include <vector>

namespace infer {
namespace {

// Gives the images one by one.
Batcher::Source From(std::vector<LoadedImage> images) {
  return [images, next = size_t{0}]() mutable -> std::optional<LoadedImage> {
    if (next == images.size()) {
      return std::nullopt;
    }
    return images[next++];
  };
}

void IgnoreSkip(const LoadedImage &) {}

TEST(Batcher, PadsTheLastBatchWithZeros) {
  Batcher batcher(From({{0, {1, 2}, ""}, {1, {3, 4}, ""}, {2, {5, 6}, ""}}), 2, 2, IgnoreSkip);
  ASSERT_TRUE(batcher.Fill());
  EXPECT_EQ(batcher.indices(), (std::vector<size_t>{0, 1}));
  EXPECT_EQ(batcher.values(), (std::vector<float>{1, 2, 3, 4}));
  ASSERT_TRUE(batcher.Fill());
  EXPECT_EQ(batcher.indices(), (std::vector<size_t>{2}));
  EXPECT_EQ(batcher.values(), (std::vector<float>{5, 6, 0, 0}));
  EXPECT_FALSE(batcher.Fill());
}

TEST(Batcher, LeavesUnusableImagesOutAndTells) {
  std::vector<std::string> errors;
  Batcher batcher(From({{0, {}, "bad"}, {1, {3}, ""}, {2, {}, "worse"}, {3, {4}, ""}}), 2, 1,
                  [&](const LoadedImage &image) { errors.push_back(image.error); });
  ASSERT_TRUE(batcher.Fill());
  EXPECT_EQ(batcher.indices(), (std::vector<size_t>{1, 3}));
  EXPECT_EQ(errors, (std::vector<std::string>{"bad", "worse"}));
}

TEST(Batcher, MakesNoBatchOfUnusableImagesAlone) {
  Batcher batcher(From({{0, {}, "bad"}}), 2, 1, IgnoreSkip);
  EXPECT_FALSE(batcher.Fill());
}

}  // namespace
}  // namespace infer
