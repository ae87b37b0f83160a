// Threads that stay, for the kernels and for oneDNN: they look for work for a moment, then sleep.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "shape.h"

namespace xception {

// The processor's hint that a loop only waits. Of ARM's, yield takes no time on most processors; isb takes some.
inline void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

// The cores that the process's first thread may use: others, as MindSpore's, may be bound to one.
inline bool ProcessCores(cpu_set_t *cores) { return sched_getaffinity(getpid(), sizeof(*cores), cores) == 0; }

// Number of threads that can run at once: by the cores, and the time that a container gets of them.
inline int UsableThreads() {
  cpu_set_t cores;
  long count = ProcessCores(&cores) ? CPU_COUNT(&cores) : static_cast<long>(std::thread::hardware_concurrency());
  if (std::FILE *file = std::fopen("/sys/fs/cgroup/cpu.max", "re")) {
    long quota = 0, period = 0;  // "max 100000" where there is no limit
    if (std::fscanf(file, "%ld %ld", &quota, &period) == 2 && quota > 0 && period > 0) {
      count = std::min(count, (quota + period - 1) / period);
    }
    std::fclose(file);
  }
  return static_cast<int>(std::max(count, 1L));
}

class ThreadPool {
 public:
  // Of so many threads with the one that calls; those that cannot start are done without.
  explicit ThreadPool(int threads) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);  // signals are for the process's own threads
    workers_.reserve(std::max(threads, 1));
    try {
      for (int i = 1; i < threads; ++i) {
        workers_.emplace_back([this] { Work(); });
      }
    } catch (const std::system_error &) {
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ThreadPool(const ThreadPool &) = delete;
  ThreadPool &operator=(const ThreadPool &) = delete;
  ~ThreadPool() {
    end_ = true;
    Wake();
    for (std::thread &worker : workers_) {
      worker.join();
    }
  }

  int Threads() const { return static_cast<int>(workers_.size()) + 1; }
  bool IsInside() const { return Inside() == this; }

  // Calls work(0) .. work(count - 1), on all threads, and returns when all are done; by one thread, in order, where
  // this is called from within work. Throws what work throws, after the others.
  template <typename Work>
  void ForEach(Index count, const Work &work) {
    Run({[](const void *each, Index i) { (*static_cast<const Work *>(each))(i); }, &work, count});
  }

  // What oneDNN keeps for these threads.
  std::shared_ptr<void> attachment;

 private:
  struct Job {
    void (*call)(const void *work, Index i);
    const void *work;
    Index count;
  };
  static constexpr int kLooks = 4000;  // about 0.1 ms, less than what the kernel takes to wake a thread up twice

  // The pool that this thread works for.
  static const ThreadPool *&Inside() {
    static thread_local const ThreadPool *inside = nullptr;
    return inside;
  }
  struct Entered {
    explicit Entered(const ThreadPool *pool) : before(std::exchange(Inside(), pool)) {}
    ~Entered() { Inside() = before; }
    const ThreadPool *before;
  };

  void Run(const Job &job) {
    std::unique_lock<std::mutex> alone(callers_, std::defer_lock);
    if (job.count <= 1 || workers_.empty() || Inside() || !alone.try_lock()) {
      const Entered entered(this);
      for (Index i = 0; i < job.count; ++i) {
        job.call(job.work, i);
      }
      return;
    }
    job_ = job;
    failure_ = nullptr;
    next_ = 0;
    is_open_ = true;
    Wake();
    Share();
    is_open_ = false;  // who comes now finds nothing to do
    WaitForWorkers();
    if (failure_) {
      std::rethrow_exception(failure_);
    }
  }

  // Takes numbers until there are none.
  void Share() {
    const Entered entered(this);
    try {
      for (Index i = next_++; i < job_.count; i = next_++) {
        job_.call(job_.work, i);
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(mutex_);
      failure_ = std::current_exception();
    }
  }

  void Wake() {
    ++turn_;
    if (sleepers_ > 0) {
      { const std::lock_guard<std::mutex> lock(mutex_); }
      wake_.notify_all();
    }
  }

  void WaitForWorkers() {
    for (int looks = 0; looks < kLooks; ++looks) {
      if (busy_ == 0) {
        return;
      }
      Pause();
    }
    std::unique_lock<std::mutex> lock(mutex_);  // one of them has lost its core to someone else
    is_waiting_ = true;
    done_.wait(lock, [this] { return busy_ == 0; });
    is_waiting_ = false;
  }

  void Work() {
    cpu_set_t cores;
    if (ProcessCores(&cores)) {  // where the thread that starts this one is bound to a core, this one is not
      pthread_setaffinity_np(pthread_self(), sizeof(cores), &cores);
    }
    for (std::uint64_t seen = 0; !end_;) {
      for (int looks = 0; looks < kLooks && turn_ == seen; ++looks) {
        Pause();
      }
      if (turn_ == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        ++sleepers_;
        wake_.wait(lock, [this, seen] { return turn_ != seen; });
        --sleepers_;
      }
      seen = turn_;
      ++busy_;  // before the look at is_open_: a job is changed only when it is closed and nobody is busy
      if (is_open_) {
        Share();
      }
      if (--busy_ == 0 && is_waiting_) {
        { const std::lock_guard<std::mutex> lock(mutex_); }
        done_.notify_all();
      }
    }
  }

  std::vector<std::thread> workers_;
  std::mutex callers_, mutex_;
  std::condition_variable wake_, done_;
  Job job_{};
  std::exception_ptr failure_;
  std::atomic<bool> is_open_{false}, is_waiting_{false}, end_{false};
  std::atomic<int> busy_{0}, sleepers_{0};
  alignas(64) std::atomic<std::uint64_t> turn_{0};
  alignas(64) std::atomic<Index> next_{0};
};

}  // namespace xception
