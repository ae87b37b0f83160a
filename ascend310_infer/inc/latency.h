#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace infer {

// Returns the smallest value that at least `percent` of the values do not exceed (the nearest-rank percentile).
//   sorted: In ascending order, one value or more.
//   percent: Above 0, up to 100.
double Percentile(const std::vector<double> &sorted, double percent);

// Returns the mean of one value or more.
double Average(const std::vector<double> &milliseconds);

// Returns the text of test_perform_static.txt: the model zoo's line, which programs read, then number of calls, and
// average, p50, p95 and p99 of their duration. Without a call there are no durations, and no such line.
//   milliseconds: The duration of every Predict call.
//   images: The images in all calls together.
std::string LatencyReport(std::vector<double> milliseconds, size_t images, size_t batch_size);

}  // namespace infer
