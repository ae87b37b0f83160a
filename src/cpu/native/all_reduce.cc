#include "all_reduce.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include <chrono>
#include <cstring>
#include <ctime>
#include <stdexcept>

namespace xception {
namespace {

constexpr Index kLine = 16;      // values of a line of the cache, which no two ranks write to
constexpr Index kAtOnce = 1024;  // values that stay in the first cache until those of all ranks are added
constexpr int kLooks = 4000;     // about 0.1 ms
constexpr int kNapMilliseconds = 50, kMostNaps = 12000;  // ten minutes; a process that is stopped does not count them
// Who keeps the ranks together learns first that one has ended, and by what.
constexpr std::chrono::seconds kUntilKnown{2};

// Where a part of so many values begins, if they are cut at lines.
Index BeginOf(Index count, int part, int parts) {
  return part == parts ? count : count * part / parts / kLine * kLine;
}

// Sleeps until somebody wakes those who watch a word, unless it has changed already, or for a moment.
void Nap(std::atomic<std::uint32_t> *word, std::uint32_t seen) {
  const timespec most{0, kNapMilliseconds * 1000000L};
  syscall(SYS_futex, word, FUTEX_WAIT, seen, &most, nullptr, 0);
}

void WakeAll(std::atomic<std::uint32_t> *word) { syscall(SYS_futex, word, FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0); }

void AddTwo(const float *left, const float *right, Index count, float *sums) {
#pragma GCC ivdep
  for (Index i = 0; i < count; ++i) {
    sums[i] = left[i] + right[i];
  }
}

void Scale(float factor, Index count, float *values, float *copies) {
#pragma GCC ivdep
  for (Index i = 0; i < count; ++i) {
    values[i] *= factor;
    copies[i] = values[i];
  }
}

}  // namespace

struct AllReduce::Shared {
  alignas(64) std::atomic<std::uint32_t> sleepers;
};

struct AllReduce::Rank {
  alignas(64) std::atomic<std::uint32_t> turns;  // that it has finished
  std::atomic<Index> count;                      // of values that it reduces
};

AllReduce::AllReduce(const std::string &path, int rank, int ranks, std::shared_ptr<char> memory)
    : rank_(rank), ranks_(ranks), file_(path, rank), memory_(memory ? std::move(memory) : file_.Map(BytesOf(ranks))) {}

std::size_t AllReduce::BytesOf(int ranks) {
  const auto rooms = static_cast<std::size_t>(2 * (ranks + 1));
  return sizeof(Shared) + static_cast<std::size_t>(ranks) * sizeof(Rank) + rooms * Row::kChunk * sizeof(float);
}

AllReduce::Rank &AllReduce::RankOf(int rank) const {
  return reinterpret_cast<Rank *>(memory_.get() + sizeof(Shared))[rank];
}

float *AllReduce::Shown(int rank, Index chunk) const {
  return reinterpret_cast<float *>(&RankOf(ranks_)) + (2 * rank + chunk % 2) * Row::kChunk;
}

// Behind what the ranks show.
float *AllReduce::Means(Index chunk) const { return Shown(ranks_, chunk); }

void AllReduce::Mean(ThreadPool &pool, const std::vector<Reduced> &tensors) {
  const Row row(tensors);
  RankOf(rank_).count = row.Count();
  const Index chunks = std::max<Index>(row.Chunks(), 1);
  for (Index turn = 0; turn < chunks + 2; ++turn) {
    const int parts = pool.Threads();
    pool.ForEach(parts, [&](Index number) {
      const Part part{static_cast<int>(number), parts};
      if (turn < chunks) {
        Show(row, turn, part);
      }
      if (turn >= 1 && turn <= chunks) {
        Add(row, turn - 1, part);
      }
      if (turn >= 2) {
        Take(row, turn - 2, part);
      }
    });
    if (turn <= chunks) {  // nobody need wait for the last one: the next call shows first, where nobody reads then
      EndTurn();
    }
    if (turn == 0) {
      CheckCounts();
    }
  }
}

void AllReduce::CheckCounts() const {
  const Index own = RankOf(rank_).count;
  for (int other = 0; other < ranks_; ++other) {
    const Index count = RankOf(other).count;
    if (count != own) {
      throw std::invalid_argument("rank " + std::to_string(other) + " has " + std::to_string(count) +
                                  " values, but rank " + std::to_string(rank_) + " has " + std::to_string(own));
    }
  }
}

Range AllReduce::PieceOf(Index count, int rank, const Part &part) const {
  const Index begin = BeginOf(count, rank, ranks_), size = BeginOf(count, rank + 1, ranks_) - begin;
  return {begin + BeginOf(size, part.number, part.parts), begin + BeginOf(size, part.number + 1, part.parts)};
}

void AllReduce::Show(const Row &row, Index chunk, const Part &part) const {
  float *shown = Shown(rank_, chunk);
  for (int other = 0; other < ranks_; ++other) {
    if (other != rank_) {
      row.ForTensors(chunk, PieceOf(row.CountOf(chunk), other, part),
                     [&](const float *own, float *, Index at, Index count) {
                       std::memcpy(shown + at, own, static_cast<std::size_t>(count) * sizeof(float));
                     });
    }
  }
}

void AllReduce::Add(const Row &row, Index chunk, const Part &part) const {
  const float share = 1.0F / static_cast<float>(ranks_);
  row.ForTensors(chunk, PieceOf(row.CountOf(chunk), rank_, part),
                 [&](const float *own, float *mean, Index at, Index count) {
                   for (Index begin = 0; begin < count; begin += kAtOnce) {
                     const Index size = std::min(kAtOnce, count - begin);
                     const auto values = [&](int rank) {
                       return rank == rank_ ? own + begin : Shown(rank, chunk) + at + begin;
                     };
                     float *means = Means(chunk) + at + begin;
                     AddTwo(values(0), values(1), size, means);
                     for (int rank = 2; rank < ranks_; ++rank) {
                       AddTwo(means, values(rank), size, means);
                     }
                     Scale(share, size, means, mean + begin);
                   }
                 });
}

void AllReduce::Take(const Row &row, Index chunk, const Part &part) const {
  const float *means = Means(chunk);
  for (int other = 0; other < ranks_; ++other) {
    if (other != rank_) {
      row.ForTensors(chunk, PieceOf(row.CountOf(chunk), other, part),
                     [&](const float *, float *mean, Index at, Index count) {
                       std::memcpy(mean, means + at, static_cast<std::size_t>(count) * sizeof(float));
                     });
    }
  }
}

AllReduce::Shared &AllReduce::All() const { return *reinterpret_cast<Shared *>(memory_.get()); }

void AllReduce::EndTurn() {
  Rank &own = RankOf(rank_);
  own.turns = ++turns_;
  if (All().sleepers > 0) {
    WakeAll(&own.turns);
  }
  for (int other = 0; other < ranks_; ++other) {
    WaitFor(other);
  }
}

void AllReduce::WaitFor(int rank) {
  std::atomic<std::uint32_t> &turns = RankOf(rank).turns;
  const auto has_come = [&] { return static_cast<std::int32_t>(turns - turns_) >= 0; };  // they begin anew at 2^32
  for (int looks = 0; looks < kLooks; ++looks) {
    if (has_come()) {
      return;
    }
    Pause();
  }
  for (int naps = 0; naps < kMostNaps; ++naps) {
    ++All().sleepers;  // before the look at what others write before they look at it
    const std::uint32_t seen = turns;
    if (static_cast<std::int32_t>(seen - turns_) < 0) {
      Nap(&turns, seen);
    }
    --All().sleepers;
    if (has_come()) {
      return;
    }
    if (!file_.IsOpenedBy(rank) && !has_come()) {
      std::this_thread::sleep_for(kUntilKnown);
      throw std::runtime_error("rank " + std::to_string(rank) + " has ended: its own log tells why");
    }
  }
  throw std::runtime_error("rank " + std::to_string(rank) + " has not come for " +
                           std::to_string(kMostNaps * kNapMilliseconds / 1000) + " seconds");
}

}  // namespace xception
