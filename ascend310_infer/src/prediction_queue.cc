#include "prediction_queue.h"

#include <chrono>
#include <functional>
#include <utility>

namespace infer {
namespace {

PredictedBatch Run(const PredictionQueue::Predict &predict, Batch batch) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<float> logits = predict(batch.values);
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  return {std::move(batch.indices), std::move(logits), time.count()};
}

}  // namespace

PredictionQueue::PredictionQueue(std::vector<Predict> models) : models_(std::move(models)) {}

std::optional<PredictedBatch> PredictionQueue::Push(Batch batch) {
  std::optional<PredictedBatch> oldest;
  if (running_.size() == models_.size()) {
    oldest = Pop();
  }
  running_.push_back(std::async(std::launch::async, Run, std::cref(models_[next_]), std::move(batch)));
  next_ = (next_ + 1) % models_.size();
  return oldest;
}

std::optional<PredictedBatch> PredictionQueue::Pop() {
  if (running_.empty()) {
    return std::nullopt;
  }
  std::future<PredictedBatch> oldest = std::move(running_.front());
  running_.pop_front();
  return oldest.get();
}

}  // namespace infer
