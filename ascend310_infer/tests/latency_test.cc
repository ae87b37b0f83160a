#include "latency.h"

#include <gtest/gtest.h>

#include <vector>

namespace infer {
namespace {

TEST(Latency, PercentileIsTheNearestRank) {
  std::vector<double> values;
  for (int value = 1; value <= 200; ++value) {
    values.push_back(value);
  }
  EXPECT_EQ(Percentile(values, 50), 100);
  EXPECT_EQ(Percentile(values, 95), 190);
  EXPECT_EQ(Percentile(values, 99), 198);
  EXPECT_EQ(Percentile(values, 100), 200);
  EXPECT_EQ(Percentile({7}, 1), 7);
}

TEST(Latency, ReportSortsTheCalls) {
  EXPECT_EQ(LatencyReport({30, 10, 20}, 5, 2),
            "NN inference cost average time: 20 ms of infer_count 3\n"
            "count: 3\nimages: 5\nbatch_size: 2\naverage_ms: 20.000\np50_ms: 20.000\np95_ms: 30.000\np99_ms: 30.000\n");
}

TEST(Latency, ReportOfNoCallHasNoDurations) {
  EXPECT_EQ(LatencyReport({}, 0, 4), "count: 0\nimages: 0\nbatch_size: 4\n");
}

}  // namespace
}  // namespace infer
