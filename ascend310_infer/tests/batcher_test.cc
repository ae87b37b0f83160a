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
  const std::optional<Batch> first = batcher.Next();
  const std::optional<Batch> last = batcher.Next();
  ASSERT_TRUE(first && last);
  EXPECT_EQ(first->indices, (std::vector<size_t>{0, 1}));
  EXPECT_EQ(first->values, (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(last->indices, (std::vector<size_t>{2}));
  EXPECT_EQ(last->values, (std::vector<float>{5, 6, 0, 0}));
  EXPECT_FALSE(batcher.Next());
}

TEST(Batcher, LeavesUnusableImagesOutAndTells) {
  std::vector<std::string> errors;
  Batcher batcher(From({{0, {}, "bad"}, {1, {3}, ""}, {2, {}, "worse"}, {3, {4}, ""}}), 2, 1,
                  [&](const LoadedImage &image) { errors.push_back(image.error); });
  const std::optional<Batch> batch = batcher.Next();
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->indices, (std::vector<size_t>{1, 3}));
  EXPECT_EQ(errors, (std::vector<std::string>{"bad", "worse"}));
}

TEST(Batcher, MakesNoBatchOfUnusableImagesAlone) {
  Batcher batcher(From({{0, {}, "bad"}}), 2, 1, IgnoreSkip);
  EXPECT_FALSE(batcher.Next());
}

}  // namespace
}  // namespace infer
