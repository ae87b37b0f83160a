// The bare device: how many images a second the program's models take when nothing else is to be done. For
// tools/benchmark_infer.py.

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <memory>
#include <vector>

#include "model_runner.h"

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: predict_loop MODEL.mindir IMAGES\n");
    return 2;
  }
  try {
    const auto models = infer::LoadModels(argv[1], infer::DeviceType::kCpu, 0);
    const long batch_size = static_cast<long>(models.front()->batch_size());
    const long wanted = std::atol(argv[2]);
    std::atomic<long> begun = 0;
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::future<void>> loops;
    for (const std::unique_ptr<infer::ModelRunner> &model : models) {
      loops.push_back(std::async(std::launch::async, [&begun, &model, batch_size, wanted] {
        const std::vector<float> images(model->batch_size() * model->image_size().elements(), 0.5F);
        while (begun.fetch_add(batch_size) < wanted) {
          model->Predict(images);
        }
      }));
    }
    for (std::future<void> &loop : loops) {
      loop.get();
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const long batches = (wanted + batch_size - 1) / batch_size;
    std::printf("%.3f images/s\n", static_cast<double>(batches * batch_size) / seconds);
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
