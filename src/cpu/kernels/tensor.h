// What the kernels share: float32 tensors (N, C, H, W) and threads.
#pragma once

#include <sched.h>

#include <algorithm>
#include <cstdint>
#include <system_error>
#include <thread>
#include <vector>

using Index = std::int64_t;

inline Index UsableCores() {
  cpu_set_t cores;
  return sched_getaffinity(0, sizeof(cores), &cores) == 0 ? CPU_COUNT(&cores) : 1;
}

// Calls work(first, last) for the parts of 0 .. count, each in a thread of its own, or here if that cannot be started.
template <typename Work>
void InParallel(Index count, const Work &work) {
  const Index parts = std::clamp<Index>(UsableCores(), 1, std::max<Index>(count, 1));
  std::vector<std::thread> threads;
  threads.reserve(parts - 1);
  try {
    for (Index part = 1; part < parts; ++part) {
      threads.emplace_back([&work, count, part, parts] { work(count * part / parts, count * (part + 1) / parts); });
    }
  } catch (const std::system_error &) {  // the limit of processes, or of memory for stacks
    work(count * (static_cast<Index>(threads.size()) + 1) / parts, count);
  }
  work(0, count / parts);
  for (auto &thread : threads) {
    thread.join();
  }
}

struct Shape {
  Index images, channels, height, width;
  explicit Shape(const Index *sizes) : images(sizes[0]), channels(sizes[1]), height(sizes[2]), width(sizes[3]) {}
  Index Plane() const { return height * width; }
  Index Offset(Index image, Index channel) const { return (image * channels + channel) * Plane(); }
};
