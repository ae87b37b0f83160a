#include "predictions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace infer {
namespace {

TEST(Predictions, AreTheLargestLogitsWithTheirSoftmax) {
  const std::vector<float> logits = {0, 2, 1, -3};
  const double sum = 1 + std::exp(2) + std::exp(1) + std::exp(-3);
  const std::vector<Prediction> top = TopClasses(logits.data(), 4, 2);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].label, 1u);
  EXPECT_NEAR(top[0].probability, std::exp(2) / sum, 1e-12);
  EXPECT_EQ(top[1].label, 2u);
  EXPECT_NEAR(top[1].probability, std::exp(1) / sum, 1e-12);
}

TEST(Predictions, EqualLogitsComeInTheOrderOfTheClasses) {
  const std::vector<float> logits(10, 4);
  const std::vector<Prediction> top = TopClasses(logits.data(), 10, 3);
  EXPECT_EQ(top[0].label, 0u);
  EXPECT_EQ(top[1].label, 1u);
  EXPECT_EQ(top[2].label, 2u);
}

TEST(Predictions, AreNoMoreThanTheClassesAndNeverOverflow) {
  const std::vector<float> logits = {1e30f, -1e30f};
  const std::vector<Prediction> top = TopClasses(logits.data(), 2, 5);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].probability, 1);
  EXPECT_EQ(top[1].probability, 0);
}

TEST(Predictions, RowsAreQuotedWhereCsvNeedsIt) {
  EXPECT_EQ(PredictionsRows("a, b.jpg", {{1, 0.75}, {0, 0.25}}, {"plain", "the \"best\""}),
            "\"a, b.jpg\",1,1,\"the \"\"best\"\"\",0.75\n\"a, b.jpg\",2,0,plain,0.25\n");
  EXPECT_EQ(PredictionsRows("a.jpg", {{3, 1}}, {}), "a.jpg,1,3,,1\n");
}

}  // namespace
}  // namespace infer
