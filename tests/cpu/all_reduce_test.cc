// All ranks get the same means, to the bit, whatever the tensors; who waits for one that has ended is told so.
#include "all_reduce.h"

#include <sys/mman.h>

#include <chrono>
#include <functional>
#include <stdexcept>

#include "checks.h"

namespace xception {
namespace {

// What ranks share, mapped once for all threads that are one here, so that a thread checker sees what they do.
class Memory {
 public:
  explicit Memory(std::size_t bytes) : file_(memfd_create("test", MFD_CLOEXEC)) {
    CHECK(file_ >= 0 && ftruncate(file_, static_cast<off_t>(bytes)) == 0);
    void *mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    memory_ = std::shared_ptr<char>(static_cast<char *>(mapped), [bytes](char *memory) { munmap(memory, bytes); });
  }
  Memory(const Memory &) = delete;
  Memory &operator=(const Memory &) = delete;
  ~Memory() { close(file_); }

  std::string Path() const { return "/proc/self/fd/" + std::to_string(file_); }
  std::unique_ptr<AllReduce> Join(int rank, int ranks) const {
    return std::make_unique<AllReduce>(Path(), rank, ranks, memory_);
  }

 private:
  int file_;
  std::shared_ptr<char> memory_;
};

using Tensors = std::vector<std::vector<float>>;

// Calls work(rank) for all, each in a thread of its own.
void ForRanks(int ranks, const std::function<void(int)> &work) {
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&work, rank] { work(rank); });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
}

Tensors Mean(AllReduce *reduce, ThreadPool &pool, const Tensors &own) {
  Tensors means;
  std::vector<Reduced> reduced;
  for (const std::vector<float> &tensor : own) {
    means.emplace_back(tensor.size());
    reduced.push_back({tensor.data(), means.back().data(), static_cast<Index>(tensor.size())});
  }
  reduce->Mean(pool, reduced);
  return means;
}

Tensors ExpectedMean(const std::vector<Tensors> &all) {
  Tensors sums = all[0];
  for (std::size_t i = 0; i < sums.size(); ++i) {
    for (std::size_t j = 0; j < sums[i].size(); ++j) {
      for (std::size_t rank = 1; rank < all.size(); ++rank) {
        sums[i][j] += all[rank][i][j];
      }
      sums[i][j] *= 1.0F / static_cast<float>(all.size());
    }
  }
  return sums;
}

bool AreSame(const Tensors &left, const Tensors &right) {
  const auto same = [](float a, float b) { return std::memcmp(&a, &b, sizeof(a)) == 0; };  // of NaN and -0 too
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [&](const auto &one, const auto &other) {
    return std::equal(one.begin(), one.end(), other.begin(), other.end(), same);
  });
}

void TestMeans(int ranks, int threads, int rounds) {
  const Memory memory(AllReduce::BytesOf(ranks));
  std::vector<std::vector<Tensors>> values, found(rounds, std::vector<Tensors>(ranks));
  for (int round = 0; round < rounds; ++round) {
    std::vector<Index> sizes;
    for (Index i = Between(1, 9); i > 0; --i) {
      sizes.push_back(Between(0, 3) == 0 ? Between(1, 400000) : Between(0, 99));  // some are longer than a chunk
    }
    values.emplace_back(ranks);
    for (Tensors &tensors : values.back()) {
      for (const Index size : sizes) {
        tensors.push_back(RandomValues<float>(size));
      }
    }
  }
  values[0][ranks - 1][0].push_back(HUGE_VALF);
  for (int rank = 0; rank < ranks - 1; ++rank) {
    values[0][rank][0].push_back(rank == 0 ? -HUGE_VALF : 1e38F);
  }
  for (Tensors &tensors : values[0]) {
    tensors.push_back({-0.0F});
  }
  std::vector<std::unique_ptr<AllReduce>> all;
  for (int rank = 0; rank < ranks; ++rank) {
    all.push_back(memory.Join(rank, ranks));
  }
  ForRanks(ranks, [&](int rank) {
    ThreadPool pool(threads);
    for (int round = 0; round < rounds; ++round) {
      found[round][rank] = Mean(all[rank].get(), pool, values[round][rank]);
    }
  });
  for (int round = 0; round < rounds; ++round) {
    const Tensors expected = ExpectedMean(values[round]);
    for (int rank = 0; rank < ranks; ++rank) {
      CHECK(AreSame(found[round][rank], expected), "rank %d of %d, round %d", rank, ranks, round);
    }
  }
  CHECK(std::isnan(found[0][0][0].back()) && std::signbit(found[0][0].back()[0]));
}

std::string FailureOf(const std::function<void()> &work) {
  try {
    work();
  } catch (const std::exception &error) {
    return error.what();
  }
  return "";
}

void TestOtherSizes() {
  const Memory memory(AllReduce::BytesOf(3));
  std::vector<std::unique_ptr<AllReduce>> all;
  for (int rank = 0; rank < 3; ++rank) {
    all.push_back(memory.Join(rank, 3));
  }
  std::vector<std::string> said(3);
  ForRanks(3, [&](int rank) {
    ThreadPool pool(1);
    said[rank] = FailureOf([&] { Mean(all[rank].get(), pool, {std::vector<float>(rank == 2 ? 8 : 7)}); });
  });
  CHECK(said[0] == "rank 2 has 8 values, but rank 0 has 7", "%s", said[0].c_str());
  CHECK(said[1] == "rank 2 has 8 values, but rank 1 has 7", "%s", said[1].c_str());
  CHECK(said[2] == "rank 0 has 7 values, but rank 2 has 8", "%s", said[2].c_str());
}

void TestEnded() {
  const Memory memory(AllReduce::BytesOf(2));
  const auto first = memory.Join(0, 2);
  auto second = memory.Join(1, 2);
  ThreadPool pool(1);
  std::string said;
  std::atomic<bool> is_over{false};
  std::thread waits([&] {
    said = FailureOf([&] { Mean(first.get(), pool, {std::vector<float>(3)}); });
    is_over = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(!is_over);
  second.reset();
  waits.join();
  CHECK(said == "rank 1 has ended: its own log tells why", "%s", said.c_str());
}

void TestUnusable() {
  const Memory small(AllReduce::BytesOf(2) - 1), memory(AllReduce::BytesOf(2));
  const auto first = memory.Join(0, 2);
  const std::string twice = FailureOf([&] { memory.Join(0, 2); });
  const std::string missing = FailureOf([] { AllReduce("/proc/self/fd/none", 0, 2); });
  const std::string too_small = FailureOf([&] { AllReduce(small.Path(), 0, 2); });
  CHECK(twice == "the ranks' memory cannot be locked: Resource temporarily unavailable", "%s", twice.c_str());
  CHECK(missing == "the ranks' memory cannot be opened: No such file or directory", "%s", missing.c_str());
  CHECK(too_small == "the ranks' memory cannot be used: No space left on device", "%s", too_small.c_str());
}

}  // namespace
}  // namespace xception

int main() {
  using namespace xception;
  TestMeans(2, 1, 20);
  TestMeans(2, 2, 5);
  TestMeans(3, 1, 5);
  TestMeans(5, 1, 3);
  TestOtherSizes();
  TestEnded();
  TestUnusable();
  return Failures() ? 1 : 0;
}
