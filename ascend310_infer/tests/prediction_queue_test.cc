#include "prediction_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <optional>
#include <stdexcept>
#include <vector>

namespace infer {
namespace {

TEST(PredictionQueue, HandsResultsOutInTheOrderOfTheBatches) {
  std::promise<void> second_is_done;
  PredictionQueue queue({[&](const std::vector<float> &values) {
                           second_is_done.get_future().wait();
                           return std::vector<float>{values[0] + 10};
                         },
                         [&](const std::vector<float> &values) {
                           second_is_done.set_value();
                           return std::vector<float>{values[0] + 20};
                         }});
  EXPECT_FALSE(queue.Push({{7}, {1}}));
  EXPECT_FALSE(queue.Push({{8, 9}, {2}}));
  const std::optional<PredictedBatch> first = queue.Pop();
  const std::optional<PredictedBatch> second = queue.Pop();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->indices, (std::vector<size_t>{7}));
  EXPECT_EQ(first->logits, (std::vector<float>{11}));
  EXPECT_EQ(second->indices, (std::vector<size_t>{8, 9}));
  EXPECT_EQ(second->logits, (std::vector<float>{22}));
  EXPECT_FALSE(queue.Pop());
}

TEST(PredictionQueue, ReturnsTheOldestResultWhenAllModelsAreBusy) {
  PredictionQueue queue({[](const std::vector<float> &values) { return values; }});
  EXPECT_FALSE(queue.Push({{0}, {5}}));
  for (size_t index = 1; index < 4; ++index) {
    const std::optional<PredictedBatch> oldest = queue.Push({{index}, {5}});
    ASSERT_TRUE(oldest);
    EXPECT_EQ(oldest->indices, (std::vector<size_t>{index - 1}));
    EXPECT_GE(oldest->milliseconds, 0);
  }
  EXPECT_TRUE(queue.Pop());
  EXPECT_FALSE(queue.Pop());
}

TEST(PredictionQueue, ThrowsWhatAModelThrew) {
  PredictionQueue queue({[](const std::vector<float> &) -> std::vector<float> { throw std::runtime_error("broken"); }});
  EXPECT_FALSE(queue.Push({{0}, {1}}));
  EXPECT_THROW(queue.Pop(), std::runtime_error);
}

}  // namespace
}  // namespace infer
