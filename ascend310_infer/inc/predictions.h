#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace infer {

struct Prediction {
  size_t label;
  double probability;
};

// What the rows that a network gives are: one for an image, a number for each class.
enum class Scores {
  kLogits,
  kProbabilities,  // it ends in softmax
  kShares,         // from 0 to 1, but of another sum, as behind a sigmoid: they are taken for logits
};

// Tells what rows are, as src/export/classifier.py does; of float16 too.
Scores ScoresOf(const std::vector<float> &rows, size_t classes);

// Returns the classes with the largest numbers, largest first, with their probabilities: the numbers themselves if they
// are probabilities, else their softmax.
//   row: Finite, one a class.
//   count: How many classes; all of them if there are no more.
std::vector<Prediction> TopClasses(const float *row, size_t classes, size_t count, Scores scores);

// The first line of predictions.csv.
std::string PredictionsHeader();

// The lines of an image in predictions.csv, one a prediction: path, rank from 1, class, name, probability.
//   class_names: The name of every class, or nothing.
std::string PredictionsRows(const std::string &path, const std::vector<Prediction> &predictions,
                            const std::vector<std::string> &class_names);

}  // namespace infer
