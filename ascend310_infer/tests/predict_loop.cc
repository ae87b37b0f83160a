// The bare device: how many images a second the model takes when nothing else is to be done. For tools/benchmark_infer.py.

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include "model_runner.h"

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: predict_loop MODEL.mindir IMAGES\n");
    return 2;
  }
  try {
    infer::ModelRunner model(argv[1], infer::DeviceType::kCpu, 0);
    const std::vector<float> images(model.batch_size() * model.image_size().elements(), 0.5F);
    const long wanted = std::atol(argv[2]);
    long done = 0;
    const auto start = std::chrono::steady_clock::now();
    while (done < wanted) {
      model.Predict(images);
      done += static_cast<long>(model.batch_size());
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("%.3f images/s\n", static_cast<double>(done) / seconds);
    return 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
