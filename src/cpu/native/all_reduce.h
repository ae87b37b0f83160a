// The mean over ranks by memory that all of them have mapped, which MindSpore's own all-reduce on CPU sends by sockets.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "row.h"
#include "shared_file.h"
#include "thread_pool.h"

namespace xception {

// One rank's part. All ranks call Mean at the same point, with tensors of the same sizes.
//
// The values of all tensors stand for one long row, which is cut into chunks, and a chunk into a piece for each rank. In
// one turn a rank shows the others its values of a chunk, makes the mean of its own piece of the chunk before, and takes
// the others' means of the chunk before that one; then it waits for all to have come as far. So there are two rooms for
// each: one is written while the other one is read.
class AllReduce {
 public:
  // Joins the ranks that share a file of BytesOf(ranks) zeros, which each opens for itself. It is mapped here unless its
  // memory is given. Throws what is wrong.
  AllReduce(const std::string &path, int rank, int ranks, std::shared_ptr<char> memory = nullptr);
  AllReduce(const AllReduce &) = delete;
  AllReduce &operator=(const AllReduce &) = delete;

  static std::size_t BytesOf(int ranks);
  int Ranks() const { return ranks_; }

  // Gives all ranks the same values to the bit: sums in the order of the ranks. Throws if a rank has ended.
  void Mean(ThreadPool &pool, const std::vector<Reduced> &tensors);

  // For the child of a fork.
  void CloseFile() { file_.Close(); }

 private:
  struct Shared;
  struct Rank;
  // Of the threads' work, one thread's.
  struct Part {
    int number, parts;
  };

  Shared &All() const;
  Rank &RankOf(int rank) const;
  float *Shown(int rank, Index chunk) const;
  float *Means(Index chunk) const;
  Range PieceOf(Index count, int rank, const Part &part) const;
  void Show(const Row &row, Index chunk, const Part &part) const;
  void Add(const Row &row, Index chunk, const Part &part) const;
  void Take(const Row &row, Index chunk, const Part &part) const;
  void CheckCounts() const;
  void EndTurn();
  void WaitFor(int rank);

  int rank_, ranks_;
  SharedFile file_;
  std::uint32_t turns_ = 0;  // of this rank and, whenever Mean is called, of all
  std::shared_ptr<char> memory_;
};

}  // namespace xception
