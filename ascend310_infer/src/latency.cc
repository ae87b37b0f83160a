#include "latency.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace infer {

double Percentile(const std::vector<double> &sorted, double percent) {
  const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
  return sorted[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

double Average(const std::vector<double> &milliseconds) {
  return std::accumulate(milliseconds.begin(), milliseconds.end(), 0.0) / static_cast<double>(milliseconds.size());
}

std::string LatencyReport(std::vector<double> milliseconds, size_t images, size_t batch_size) {
  const std::string counts = "count: " + std::to_string(milliseconds.size()) + "\nimages: " + std::to_string(images) +
                             "\nbatch_size: " + std::to_string(batch_size) + '\n';
  if (milliseconds.empty()) {
    return counts;
  }
  std::sort(milliseconds.begin(), milliseconds.end());
  const double average = Average(milliseconds);
  char first[128];
  std::snprintf(first, sizeof(first), "NN inference cost average time: %g ms of infer_count %zu\n", average,
                milliseconds.size());
  char last[160];
  std::snprintf(last, sizeof(last), "average_ms: %.3f\np50_ms: %.3f\np95_ms: %.3f\np99_ms: %.3f\n", average,
                Percentile(milliseconds, 50), Percentile(milliseconds, 95), Percentile(milliseconds, 99));
  return first + counts + last;
}

}  // namespace infer
