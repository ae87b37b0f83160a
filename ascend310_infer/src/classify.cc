#include "classify.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "batcher.h"
#include "class_names.h"
#include "errors.h"
#include "file_list.h"
#include "image_loader.h"
#include "latency.h"
#include "metadata.h"
#include "model_entries.h"
#include "model_runner.h"
#include "prediction_queue.h"
#include "preprocess.h"
#include "printable.h"
#include "result_files.h"
#include "settle.h"

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace infer {
namespace {

using Models = std::vector<std::unique_ptr<ModelRunner>>;

constexpr size_t kBatchesAhead = 2;  // loaded for each model while it is busy

constexpr size_t kKinds = 5;  // of files that are no images, that are named

// Returns what files there are beside the images: "2 .gif, 1 without a suffix", the most frequent kinds first.
std::string DescribeOthers(const FileList &found) {
  std::vector<std::pair<std::string, size_t>> kinds(found.passed_over.begin(), found.passed_over.end());
  std::stable_sort(kinds.begin(), kinds.end(), [](const auto &one, const auto &other) { return one.second > other.second; });
  std::string text;
  size_t others = 0;
  for (size_t index = 0; index < kinds.size(); ++index) {
    const auto &[suffix, count] = kinds[index];
    if (index < kKinds) {
      text += (text.empty() ? "" : ", ") + std::to_string(count) + ' ' + (suffix.empty() ? "without a suffix" : suffix);
    } else {
      others += count;
    }
  }
  return others == 0 ? text : text + ", " + std::to_string(others) + " others";
}

void Skip(const fs::path &path, const std::string &reason) {
  std::cerr << "skipped " << Printable(path.string()) << ": " << Printable(reason) << std::endl;
}

FileList FindImages(const fs::path &folder) {
  FileList found = ListImages(folder);
  for (const UnreadFolder &unread : found.unread) {
    Skip(folder / unread.path, unread.reason);
  }
  const std::string others = DescribeOthers(found);
  if (found.images.empty()) {
    std::string message = "no images in " + folder.string() + ": it needs files that end in";
    for (const std::string_view suffix : kImageSuffixes) {
      message.append(" ").append(suffix);
    }
    throw UsageError(others.empty() ? message : message + "; there are " + others);
  }
  std::cout << "found " << found.images.size() << " images in " << Printable(folder.string());
  if (!others.empty()) {
    std::cout << "; not read: " << Printable(others);
  }
  if (found.repeated > 0) {
    std::cout << "; links lead to a folder that was read already: " << found.repeated;
  }
  std::cout << std::endl;
  return found;
}

Models LoadAndTell(const Options &options) {
  Models models = LoadModels(options.model_path, options.device_type, options.device_id);
  const ModelRunner &model = *models.front();
  const ImageSize size = model.image_size();
  const std::string name = Printable(options.model_path.string());
  std::cout << "loaded " << name << ": " << model.batch_size() << " x 3 x " << size.height
            << " x " << size.width << ", " << model.classes() << " classes" << std::endl;
  if (model.scores() == Scores::kProbabilities) {
    std::cerr << "note: " << name << " gives probabilities, not logits: they are taken as such"
              << std::endl;
  } else if (model.scores() == Scores::kShares) {
    std::cerr << "note: " << name
              << " gives values from 0 to 1 that do not sum to 1: they are taken for logits" << std::endl;
  }
  return models;
}

Settled SettleAndTell(const Options &options, const Metadata &metadata, const ModelRunner &model) {
  std::vector<std::string> given;
  if (!options.class_names.empty()) {
    given = ReadClassNames(options.class_names, model.classes());
  }
  Settled settled = Settle({options.model_path, model.image_size(), model.classes()}, metadata, given);
  for (const std::string &remark : settled.remarks) {
    std::cerr << "note: " << Printable(remark) << std::endl;
  }
  return settled;
}

std::vector<fs::path> PathsIn(const fs::path &folder, const std::vector<std::string> &names) {
  std::vector<fs::path> paths;
  for (const std::string &name : names) {
    paths.push_back(folder / name);
  }
  return paths;
}

std::vector<PredictionQueue::Predict> PredictFunctions(const Models &models) {
  std::vector<PredictionQueue::Predict> functions;
  for (const std::unique_ptr<ModelRunner> &model : models) {
    functions.push_back([&model](const std::vector<float> &values) { return model->Predict(values); });
  }
  return functions;
}

// Hands what the models predict to `write`, in the order of the paths; returns the number of skipped images.
size_t PredictImages(const Options &options, const std::vector<fs::path> &paths, const Models &models, Resizing resizing,
                     const std::function<void(const PredictedBatch &)> &write) {
  const ModelRunner &model = *models.front();
  const ImageSize size = model.image_size();
  const size_t ahead = kBatchesAhead * models.size() * model.batch_size();
  size_t skipped = 0;
  const auto load = [size, resizing, most = options.max_image_pixels](const fs::path &path) {
    return LoadImage(path, size, resizing, most);
  };
  ImageLoader loader(paths, load, options.threads, options.threads + ahead);
  Batcher batcher([&] { return loader.Next(); }, model.batch_size(), size.elements(), [&](const LoadedImage &image) {
    ++skipped;
    Skip(paths[image.index], image.error);
  });
  PredictionQueue queue(PredictFunctions(models));
  while (std::optional<Batch> batch = batcher.Next()) {
    if (const std::optional<PredictedBatch> predicted = queue.Push(std::move(*batch))) {
      write(*predicted);
    }
  }
  while (const std::optional<PredictedBatch> predicted = queue.Pop()) {
    write(*predicted);
  }
  return skipped;
}

}  // namespace

bool Classify(const Options &options) {
  const FileList found = FindImages(options.dataset_path);
  const std::vector<std::string> &images = found.images;
  const Metadata metadata = ReadModelMetadata(options.model_path);
  ResultFiles results(images, options.result_path, options.time_path, options.topk);
  const Models models = LoadAndTell(options);
  const Settled settled = SettleAndTell(options, metadata, *models.front());
  const std::vector<fs::path> paths = PathsIn(options.dataset_path, images);

  const Clock::time_point start = Clock::now();
  const ModelRunner &model = *models.front();
  const auto write = [&](const PredictedBatch &batch) {
    results.Write(batch, model.classes(), settled.class_names, model.scores());
  };
  const size_t skipped = PredictImages(options, paths, models, settled.resizing, write);
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const size_t predicted = images.size() - skipped;
  results.Commit(predicted, model.batch_size(), settled.description);

  std::printf("predicted %zu images in %.2f s, %.1f images/s; skipped %zu", predicted, seconds,
              static_cast<double>(predicted) / seconds, skipped);
  if (!found.unread.empty()) {
    std::printf(" and %zu folders", found.unread.size());
  }
  if (!results.milliseconds().empty()) {  // the model zoo's line, which programs read
    std::printf("\nNN inference cost average time: %gms of infer_count %zu", Average(results.milliseconds()),
                results.milliseconds().size());
  }
  std::printf("\nresults in %s, times in %s\n", Printable(options.result_path.string()).c_str(),
              Printable(options.time_path.string()).c_str());
  return skipped == 0 && found.unread.empty();
}

}  // namespace infer
