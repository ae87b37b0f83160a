#include "classify.h"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "batcher.h"
#include "errors.h"
#include "file_list.h"
#include "image_loader.h"
#include "latency.h"
#include "model_runner.h"
#include "output_file.h"
#include "prediction_queue.h"
#include "predictions.h"
#include "preprocess.h"
#include "result_name.h"

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace infer {
namespace {

constexpr size_t kBatchesAhead = 2;  // loaded for each model while it is busy

FileList FindImages(const fs::path &folder) {
  FileList found = ListImages(folder);
  if (found.images.empty()) {
    throw UsageError("no images in " + folder.string() + ": it needs files that end in .jpg .jpeg .png .bmp .tif .tiff");
  }
  std::cout << "found " << found.images.size() << " images in " << folder.string();
  if (found.passed_over > 0) {
    std::cout << ", passed over " << found.passed_over << " other files";
  }
  std::cout << std::endl;
  return found;
}

std::vector<fs::path> PathsIn(const fs::path &folder, const std::vector<std::string> &names) {
  std::vector<fs::path> paths;
  for (const std::string &name : names) {
    paths.push_back(folder / name);
  }
  return paths;
}

void WriteWhole(const fs::path &path, const void *data, size_t size) {
  OutputFile file(path);
  file.Write(data, size);
  file.Commit();
}

std::vector<PredictionQueue::Predict> PredictFunctions(const std::vector<std::unique_ptr<ModelRunner>> &models) {
  std::vector<PredictionQueue::Predict> functions;
  for (const std::unique_ptr<ModelRunner> &model : models) {
    functions.push_back([&model](const std::vector<float> &values) { return model->Predict(values); });
  }
  return functions;
}

}  // namespace

bool Classify(const Options &options) {
  const std::vector<std::string> images = FindImages(options.dataset_path).images;
  const std::vector<std::string> names = ResultNames(images);
  fs::create_directories(options.result_path);
  fs::create_directories(options.time_path);
  OutputFile table(options.result_path / "predictions.csv");
  OutputFile times(options.time_path / "test_perform_static.txt");
  table.Write(PredictionsHeader());

  const std::vector<std::unique_ptr<ModelRunner>> models =
      LoadModels(options.model_path, options.device_type, options.device_id);
  const ModelRunner &model = *models.front();
  const ImageSize size = model.image_size();
  const size_t classes = model.classes();
  std::cout << "loaded " << options.model_path.string() << ": " << model.batch_size() << " x 3 x " << size.height
            << " x " << size.width << ", " << classes << " classes" << std::endl;
  std::vector<std::string> class_names;
  if (!options.class_names.empty()) {
    class_names = ReadClassNames(options.class_names, classes);
  }

  const size_t ahead = kBatchesAhead * models.size() * model.batch_size();
  size_t skipped = 0;
  const std::vector<fs::path> paths = PathsIn(options.dataset_path, images);
  ImageLoader loader(
      paths, [size](const fs::path &path) { return LoadImage(path, size); }, options.threads,
      options.threads + ahead);
  Batcher batcher([&] { return loader.Next(); }, model.batch_size(), size.elements(), [&](const LoadedImage &image) {
    ++skipped;
    std::cerr << "skipped " << paths[image.index].string() << ": " << image.error << std::endl;
  });
  std::vector<double> milliseconds;
  const Clock::time_point start = Clock::now();
  const auto write = [&](const PredictedBatch &batch) {
    milliseconds.push_back(batch.milliseconds);
    const float *row = batch.logits.data();
    for (const size_t index : batch.indices) {
      WriteWhole(options.result_path / names[index], row, classes * sizeof(float));
      table.Write(PredictionsRows(images[index], TopClasses(row, classes, options.topk), class_names));
      row += classes;
    }
  };
  PredictionQueue queue(PredictFunctions(models));
  while (std::optional<Batch> batch = batcher.Next()) {
    if (const std::optional<PredictedBatch> predicted = queue.Push(std::move(*batch))) {
      write(*predicted);
    }
  }
  while (const std::optional<PredictedBatch> predicted = queue.Pop()) {
    write(*predicted);
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  const size_t predicted = images.size() - skipped;
  times.Write(LatencyReport(milliseconds, predicted, model.batch_size()));
  times.Commit();
  table.Commit();
  FlushFolder(options.result_path);
  FlushFolder(options.time_path);

  std::printf("predicted %zu images in %.2f s, %.1f images/s; skipped %zu\nresults in %s, times in %s\n", predicted,
              seconds, static_cast<double>(predicted) / seconds, skipped, options.result_path.c_str(),
              options.time_path.c_str());
  return skipped == 0;
}

}  // namespace infer
