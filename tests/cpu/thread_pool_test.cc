// Each number is worked on once, by all threads and callers, also from within work, and after one has thrown.
#include "thread_pool.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <stdexcept>

#include "checks.h"

namespace xception {
namespace {

void TestCounts(int threads) {
  ThreadPool pool(threads);
  CHECK(pool.Threads() == threads);
  for (Index turn = 0; turn < 3000; ++turn) {
    const Index count = Between(0, 9);
    std::vector<int> times(10);
    pool.ForEach(count, [&](Index i) { ++times[i]; });
    for (Index i = 0; i < 10; ++i) {
      CHECK(times[i] == (i < count), "%ld of %ld is done %d times", i, count, times[i]);
    }
    if (turn % 500 == 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(3));  // all are asleep
    }
  }
}

void TestNested() {
  ThreadPool pool(3);
  std::atomic<int> sum{0};
  CHECK(!pool.IsInside());
  pool.ForEach(5, [&](Index) {
    CHECK(pool.IsInside());
    pool.ForEach(7, [&](Index) { ++sum; });
    CHECK(pool.IsInside());
  });
  CHECK(!pool.IsInside() && sum == 35);
}

void TestSeveralCallers() {
  ThreadPool pool(2);
  std::vector<std::thread> callers;
  std::atomic<int> sum{0};
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      for (int turn = 0; turn < 300; ++turn) {
        pool.ForEach(4, [&](Index) { ++sum; });
      }
    });
  }
  for (std::thread &caller : callers) {
    caller.join();
  }
  CHECK(sum == 3600);
}

void TestThrows() {
  for (int threads = 1; threads <= 3; ++threads) {
    ThreadPool pool(threads);
    for (int turn = 0; turn < 50; ++turn) {
      bool is_caught = false;
      try {
        pool.ForEach(6, [](Index i) {
          if (i == 3) {
            throw std::runtime_error("three");
          }
        });
      } catch (const std::runtime_error &) {
        is_caught = true;
      }
      CHECK(is_caught && !pool.IsInside());
      std::atomic<int> sum{0};
      pool.ForEach(6, [&](Index) { ++sum; });
      CHECK(sum == 6);
    }
  }
}

void TestWithoutThreads() {
  const pid_t child = fork();
  if (child == 0) {
    const rlimit none{0, 0};
    if (setuid(65534) != 0 || setrlimit(RLIMIT_NPROC, &none) != 0) {
      _exit(getuid() == 0);
    }
    ThreadPool pool(4);
    int sum = 0;
    pool.ForEach(5, [&](Index) { ++sum; });
    _exit(sum == 5 && pool.Threads() == 1 ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  CHECK(status == 0);
}

void TestUsableThreads() {
  cpu_set_t all, one;
  CHECK(ProcessCores(&all));
  CHECK(UsableThreads() >= 1 && UsableThreads() <= CPU_COUNT(&all));
  CPU_ZERO(&one);
  for (int core = 0; CPU_COUNT(&one) == 0; ++core) {
    if (CPU_ISSET(core, &all)) {
      CPU_SET(core, &one);
    }
  }
  sched_setaffinity(0, sizeof(one), &one);
  CHECK(UsableThreads() == 1);
  sched_setaffinity(0, sizeof(all), &all);
}

}  // namespace
}  // namespace xception

int main() {
  using namespace xception;
  TestWithoutThreads();
  for (const int threads : {1, 2, 5}) {
    TestCounts(threads);
  }
  TestNested();
  TestSeveralCallers();
  TestThrows();
  TestUsableThreads();
  return Failures() ? 1 : 0;
}
