#include "result_files.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "errors.h"
#include "latency.h"
#include "predictions.h"
#include "result_name.h"

namespace fs = std::filesystem;

namespace infer {
namespace {

constexpr char kTable[] = "predictions.csv";
constexpr char kDescription[] = "metadata.json";

// Makes and locks the folder of the results. Whoever counts them could not tell an earlier run's, of an image that this run
// skips, from this run's own.
std::unique_ptr<FolderLock> ClaimResults(const fs::path &folder) {
  fs::create_directories(folder);
  auto lock = std::make_unique<FolderLock>(folder, "--result_path");
  for (const fs::directory_entry &entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name == kTable || name == kDescription || entry.path().extension() == ".bin" || IsBeingWritten(name)) {
      throw UsageError(folder.string() + " holds results of an earlier run, such as " + name +
                       ": remove them, or give another --result_path");
    }
  }
  return lock;
}

// Makes and locks the folder of the times, which replace those of an earlier run.
std::unique_ptr<FolderLock> ClaimTimes(const fs::path &folder, const fs::path &results) {
  fs::create_directories(folder);
  if (fs::equivalent(folder, results)) {
    return nullptr;
  }
  auto lock = std::make_unique<FolderLock>(folder, "--time_path");
  RemoveUncommitted(folder);
  return lock;
}

void WriteWhole(const fs::path &path, const void *data, size_t size) {
  OutputFile file(path);
  file.Write(data, size);
  file.Commit();
}

}  // namespace

ResultFiles::ResultFiles(std::vector<std::string> images, fs::path result_path, fs::path time_path, size_t topk)
    : images_(std::move(images)),
      names_(ResultNames(images_)),
      result_path_(std::move(result_path)),
      result_lock_(ClaimResults(result_path_)),
      time_path_(std::move(time_path)),
      time_lock_(ClaimTimes(time_path_, result_path_)),
      topk_(topk),
      table_(result_path_ / kTable),
      times_(time_path_ / "test_perform_static.txt") {
  table_.Write(PredictionsHeader());
}

void ResultFiles::Write(const PredictedBatch &batch, size_t classes, const std::vector<std::string> &class_names,
                        Scores scores) {
  milliseconds_.push_back(batch.milliseconds);
  const float *row = batch.logits.data();
  for (const size_t index : batch.indices) {
    if (!std::all_of(row, row + classes, [](float logit) { return std::isfinite(logit); })) {
      throw std::runtime_error("the network's logits for " + images_[index] +
                               " are NaN or infinite: its weights are no good");
    }
    if (scores == Scores::kProbabilities && ScoresOf({row, row + classes}, classes) != scores) {
      throw std::runtime_error("the network gives probabilities for some images and not for " + images_[index] +
                               ": use one that gives logits");
    }
    WriteWhole(result_path_ / names_[index], row, classes * sizeof(float));
    table_.Write(PredictionsRows(images_[index], TopClasses(row, classes, topk_, scores), class_names));
    row += classes;
  }
}

void ResultFiles::Commit(size_t predicted, size_t batch_size, const std::string &description) {
  times_.Write(LatencyReport(milliseconds_, predicted, batch_size));
  times_.Commit();
  if (!description.empty()) {
    WriteWhole(result_path_ / kDescription, description.data(), description.size());
  }
  table_.Commit();
  FlushFolder(result_path_);
  FlushFolder(time_path_);
}

}  // namespace infer
