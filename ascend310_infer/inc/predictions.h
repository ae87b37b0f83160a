#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace infer {

struct Prediction {
  size_t label;
  double probability;
};

// Returns the classes with the largest logits, largest first, with their softmax probabilities.
//   logits: Finite, one a class.
//   count: How many classes; all of them if there are no more.
std::vector<Prediction> TopClasses(const float *logits, size_t classes, size_t count);

// The first line of predictions.csv.
std::string PredictionsHeader();

// The lines of an image in predictions.csv, one a prediction: path, rank from 1, class, name, probability.
//   class_names: The name of every class, or nothing.
std::string PredictionsRows(const std::string &path, const std::vector<Prediction> &predictions,
                            const std::vector<std::string> &class_names);

}  // namespace infer
