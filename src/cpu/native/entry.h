// What every function that others call does first and last: one at a time in the process, and no exception goes out.
#pragma once

#include <cstdio>
#include <mutex>

#include "onednn.h"

namespace xception {

// What has been made for the process is behind one lock, which a fork waits for. A child has no threads of its parent's
// pool, so it makes its own.
struct Process {
  std::mutex lock;
  ThreadPool *pool = nullptr;
  int threads = 0;  // of the pool; 0 for all that can run at once

  static Process &Get() {
    static Process &process = *[] {  // never destroyed: threads may still compute when the process ends
      auto *made = new Process;
      pthread_atfork([] { Get().lock.lock(); }, [] { Get().lock.unlock(); },
                     [] {
                       Get().pool = nullptr;
                       Get().lock.unlock();
                     });
      return made;
    }();
    return process;
  }
};

// Returns 0 after work(thread pool), 1 after a failure, which `error` then tells in one line.
template <typename Work>
int Enter(char *error, Index error_size, const Work &work) {
  const char *message = "an unknown error";
  try {
    Process &process = Process::Get();
    const std::lock_guard<std::mutex> lock(process.lock);
    try {
      if (!process.pool) {
        process.pool = new ThreadPool(process.threads > 0 ? process.threads : UsableThreads());
      }
      work(*process.pool);
      return 0;
    } catch (const std::bad_alloc &) {
      message = "there is not enough memory";
    } catch (const std::exception &exception) {
      std::snprintf(error, static_cast<std::size_t>(error_size), "%s", exception.what());
      return 1;
    }
  } catch (...) {
  }
  std::snprintf(error, static_cast<std::size_t>(error_size), "%s", message);
  return 1;
}

// What the operator said that has failed last.
inline char last_failure[512];

// The same for an operator that MindSpore calls, which gives it no room for an error.
template <typename Work>
int EnterOperator(const char *name, const Work &work) {
  char error[400];
  const int status = Enter(error, sizeof(error), work);
  if (status) {
    std::snprintf(last_failure, sizeof(last_failure), "%s in C++ fails: %s", name, error);
  }
  return status;
}

}  // namespace xception
