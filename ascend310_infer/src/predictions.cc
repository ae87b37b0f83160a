#include "predictions.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace infer {
namespace {

// A field of a CSV file, in quotes where its content needs them (RFC 4180).
std::string Field(const std::string &text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char letter : text) {
    quoted += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  }
  return quoted + '"';
}

std::string Format(double probability) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", probability);
  return text;
}

}  // namespace

std::vector<Prediction> TopClasses(const float *logits, size_t classes, size_t count) {
  std::vector<size_t> order(classes);
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t kept = std::min(count, classes);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                    [&](size_t one, size_t other) {
                      return logits[one] > logits[other] || (logits[one] == logits[other] && one < other);
                    });
  // Less the largest logit, so that no exponential overflows.
  const double largest = *std::max_element(logits, logits + classes);
  double sum = 0;
  for (size_t label = 0; label < classes; ++label) {
    sum += std::exp(logits[label] - largest);
  }
  std::vector<Prediction> top;
  for (size_t rank = 0; rank < kept; ++rank) {
    top.push_back({order[rank], std::exp(logits[order[rank]] - largest) / sum});
  }
  return top;
}

std::string PredictionsHeader() { return "path,rank,class,name,probability\n"; }

std::string PredictionsRows(const std::string &path, const std::vector<Prediction> &predictions,
                            const std::vector<std::string> &class_names) {
  std::string rows;
  size_t rank = 0;
  for (const Prediction &prediction : predictions) {
    const std::string name = class_names.empty() ? "" : class_names.at(prediction.label);
    rows += Field(path) + ',' + std::to_string(++rank) + ',' + std::to_string(prediction.label) + ',' + Field(name) +
            ',' + Format(prediction.probability) + '\n';
  }
  return rows;
}

}  // namespace infer
