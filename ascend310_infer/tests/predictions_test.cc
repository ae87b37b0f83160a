#include "predictions.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace infer {
namespace {

TEST(Predictions, AreTheLargestLogitsWithTheirSoftmax) {
  const std::vector<float> logits = {0, 2, 1, -3};
  const double sum = 1 + std::exp(2) + std::exp(1) + std::exp(-3);
  const std::vector<Prediction> top = TopClasses(logits.data(), 4, 2, Scores::kLogits);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].label, 1u);
  EXPECT_NEAR(top[0].probability, std::exp(2) / sum, 1e-12);
  EXPECT_EQ(top[1].label, 2u);
  EXPECT_NEAR(top[1].probability, std::exp(1) / sum, 1e-12);
}

TEST(Predictions, EqualLogitsComeInTheOrderOfTheClasses) {
  const std::vector<float> logits(10, 4);
  const std::vector<Prediction> top = TopClasses(logits.data(), 10, 3, Scores::kLogits);
  EXPECT_EQ(top[0].label, 0u);
  EXPECT_EQ(top[1].label, 1u);
  EXPECT_EQ(top[2].label, 2u);
}

TEST(Predictions, AreNoMoreThanTheClassesAndNeverOverflow) {
  const std::vector<float> logits = {1e30f, -1e30f};
  const std::vector<Prediction> top = TopClasses(logits.data(), 2, 5, Scores::kLogits);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].probability, 1);
  EXPECT_EQ(top[1].probability, 0);
}

TEST(Predictions, OfProbabilitiesAreTheseThemselves) {
  const std::vector<float> row = {0.125, 0, 0.75, 0.125};
  const std::vector<Prediction> top = TopClasses(row.data(), 4, 9, Scores::kProbabilities);
  ASSERT_EQ(top.size(), 4u);
  EXPECT_EQ(top[0].label, 2u);
  EXPECT_EQ(top[0].probability, 0.75);
  EXPECT_EQ(top[1].label, 0u);
  EXPECT_EQ(top[2].label, 3u);
  EXPECT_EQ(top[2].probability, 0.125);
  EXPECT_EQ(top[3].probability, 0);
  // Behind a sigmoid they are logits, as for predict.py.
  EXPECT_NEAR(TopClasses(row.data(), 4, 1, Scores::kShares)[0].probability, 0.40, 0.01);
}

TEST(Predictions, RowsOfSumOneAreProbabilitiesAndOthersAreNot) {
  EXPECT_EQ(ScoresOf({0.5, 0.5, 0, 1}, 2), Scores::kProbabilities);
  EXPECT_EQ(ScoresOf({0.5f, 0.5019f, 0.001f, 0.9971f}, 2), Scores::kProbabilities);  // as float16 rounds
  EXPECT_EQ(ScoresOf(std::vector<float>(1000, 0.001f), 1000), Scores::kProbabilities);
  EXPECT_EQ(ScoresOf({0.5f, 0.5021f, 0, 1}, 2), Scores::kShares);
  EXPECT_EQ(ScoresOf({0.5, 0.5, 0.5, 0.25}, 2), Scores::kShares);  // of one row alone the sum is 1
  EXPECT_EQ(ScoresOf({0, 0, 1, 1}, 2), Scores::kShares);
  EXPECT_EQ(ScoresOf({0.25, 0.25, 0.25, 0.25}, 2), Scores::kLogits);  // all the same, as of the last layer's bias
  EXPECT_EQ(ScoresOf({2, 3}, 2), Scores::kLogits);
  EXPECT_EQ(ScoresOf({-0.5, 1.5}, 2), Scores::kLogits);
  EXPECT_EQ(ScoresOf({1, 0, NAN, 1}, 2), Scores::kLogits);
  EXPECT_EQ(ScoresOf({INFINITY, 0}, 2), Scores::kLogits);
}

TEST(Predictions, RowsAreQuotedWhereCsvNeedsIt) {
  EXPECT_EQ(PredictionsRows("a, b.jpg", {{1, 0.75}, {0, 0.25}}, {"plain", "the \"best\""}),
            "\"a, b.jpg\",1,1,\"the \"\"best\"\"\",0.75\n\"a, b.jpg\",2,0,plain,0.25\n");
  EXPECT_EQ(PredictionsRows("a.jpg", {{3, 1}}, {}), "a.jpg,1,3,,1\n");
}

}  // namespace
}  // namespace infer
