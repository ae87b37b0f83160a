#include "predictions.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace infer {
namespace {

constexpr double kSumTolerance = 2e-3;  // a thousand probabilities, each rounded to float16, are off by less

// A field of a CSV file, in quotes where its content needs them (RFC 4180).
std::string CsvField(const std::string &text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    return text;
  }
  std::string quoted = "\"";
  for (const char letter : text) {
    quoted += letter == '"' ? std::string("\"\"") : std::string(1, letter);
  }
  return quoted + '"';
}

// A text with an apostrophe before it if a spreadsheet would run it as a formula, as to_cell in src/common/files.py.
std::string Cell(const std::string &text) {
  const size_t start = text.find_first_not_of('\'');
  if (start == std::string::npos) {
    return text;
  }
  bool is_formula = std::string("\t\r\n").find(text[start]) != std::string::npos;
  const size_t first = text.find_first_not_of(" \t\n\v\f\r", start);
  // The last four are the wide forms of = + - @ in UTF-8.
  for (const std::string sign : {"=", "+", "-", "@", "\xEF\xBC\x9D", "\xEF\xBC\x8B",
                                 "\xEF\xBC\x8D", "\xEF\xBC\xA0"}) {
    is_formula = is_formula || (first != std::string::npos && text.compare(first, sign.size(), sign) == 0);
  }
  return is_formula ? '\'' + text : text;
}

std::string Format(double probability) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", probability);
  return text;
}

}  // namespace

Scores ScoresOf(const std::vector<float> &rows, size_t classes) {
  if (std::any_of(rows.begin(), rows.end(), [](float value) { return !(value >= 0); })) {
    return Scores::kLogits;
  }
  bool are_probabilities = true;
  for (auto row = rows.begin(); row != rows.end(); row += static_cast<std::ptrdiff_t>(classes)) {
    const double sum = std::accumulate(row, row + static_cast<std::ptrdiff_t>(classes), 0.0);
    are_probabilities = are_probabilities && std::abs(sum - 1) <= kSumTolerance;
  }
  if (are_probabilities) {
    return Scores::kProbabilities;
  }
  const auto [least, most] = std::minmax_element(rows.begin(), rows.end());
  return *least < *most && *most <= 1 ? Scores::kShares : Scores::kLogits;
}

std::vector<Prediction> TopClasses(const float *row, size_t classes, size_t count, Scores scores) {
  std::vector<size_t> order(classes);
  std::iota(order.begin(), order.end(), size_t{0});
  const size_t kept = std::min(count, classes);
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
                    [&](size_t one, size_t other) {
                      return row[one] > row[other] || (row[one] == row[other] && one < other);
                    });
  order.resize(kept);
  std::vector<Prediction> top;
  if (scores == Scores::kProbabilities) {
    for (const size_t label : order) {
      top.push_back({label, row[label]});
    }
    return top;
  }
  // Less the largest logit, so that no exponential overflows.
  const double largest = *std::max_element(row, row + classes);
  double sum = 0;
  for (size_t label = 0; label < classes; ++label) {
    sum += std::exp(row[label] - largest);
  }
  for (const size_t label : order) {
    top.push_back({label, std::exp(row[label] - largest) / sum});
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
    rows += CsvField(Cell(path)) + ',' + std::to_string(++rank) + ',' + std::to_string(prediction.label) + ',' +
            CsvField(Cell(name)) + ',' + Format(prediction.probability) + '\n';
  }
  return rows;
}

}  // namespace infer
