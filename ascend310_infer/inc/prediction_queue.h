#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <future>
#include <optional>
#include <vector>

#include "batcher.h"

namespace infer {

struct PredictedBatch {
  std::vector<size_t> indices;  // as in the batch
  std::vector<float> logits;    // of all images of the batch, padding included
  double milliseconds;          // that the model took
};

// Lets several models predict at the same time, each a batch of its own, and hands the results out in the order of the
// batches.
class PredictionQueue {
 public:
  // Runs a model on the values of a batch. Its exception comes out of the call that hands out the batch.
  using Predict = std::function<std::vector<float>(const std::vector<float> &)>;

  // models: One or more; each is called for one batch at a time, from changing threads.
  explicit PredictionQueue(std::vector<Predict> models);

  // Gives a batch to a model. If all are busy, waits for the oldest batch first and returns its result.
  std::optional<PredictedBatch> Push(Batch batch);

  // Waits for the oldest batch; returns nothing if there is none.
  std::optional<PredictedBatch> Pop();

 private:
  std::vector<Predict> models_;
  size_t next_ = 0;                                  // gets the next batch; has the oldest one if all are busy
  std::deque<std::future<PredictedBatch>> running_;  // oldest first
};

}  // namespace infer
