#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "folder_lock.h"
#include "output_file.h"
#include "prediction_queue.h"
#include "predictions.h"

namespace infer {

// What the program leaves behind: the logits of every image, predictions.csv and metadata.json in one folder, the times
// in another.
class ResultFiles {
 public:
  // Makes the folders and opens the tables, so that what prevents them is known before a model is loaded.
  //   images: The paths below the data set, in the order of the list.
  //   topk: Classes an image in predictions.csv; all of them if there are no more.
  // Throws UsageError for images whose files would share a name and for a folder with results of another run, also of
  // one that has not ended, and another std::exception for what cannot be written.
  ResultFiles(std::vector<std::string> images, std::filesystem::path result_path, std::filesystem::path time_path,
              size_t topk);

  // Writes what a batch has come to. Throws std::runtime_error for a logit that is NaN or infinite, and for a row that is
  // no probabilities where these are.
  //   classes: Logits of an image.
  //   class_names: The name of every class, or nothing.
  //   scores: What the rows of the network are.
  void Write(const PredictedBatch &batch, size_t classes, const std::vector<std::string> &class_names,
             Scores scores = Scores::kLogits);

  // Writes the times and metadata.json, and gives both tables their names: without it, only the logits' files stay.
  //   predicted: Images in all batches together.
  //   description: What the classes mean, as JSON; empty: there is no metadata.json.
  void Commit(size_t predicted, size_t batch_size, const std::string &description);

  // How long the network took for every batch.
  const std::vector<double> &milliseconds() const { return milliseconds_; }

 private:
  const std::vector<std::string> images_;
  const std::vector<std::string> names_;  // of the logits' files
  const std::filesystem::path result_path_;
  const std::unique_ptr<FolderLock> result_lock_;
  const std::filesystem::path time_path_;
  const std::unique_ptr<FolderLock> time_lock_;  // none where both are one folder
  const size_t topk_;
  OutputFile table_;
  OutputFile times_;
  std::vector<double> milliseconds_;
};

}  // namespace infer
