#include "result_files.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "errors.h"
#include "temporary_folder.h"

namespace fs = std::filesystem;

namespace infer {
namespace {

class ResultFilesTest : public InFolder {
 protected:
  // The float32 values of a file.
  static std::vector<float> ReadValues(const fs::path &path) {
    const std::string content = Read(path);
    std::vector<float> values(content.size() / sizeof(float));
    std::memcpy(values.data(), content.data(), values.size() * sizeof(float));
    return values;
  }

  const fs::path results_ = folder_ / "new" / "results";
  const fs::path times_ = folder_ / "times";
};

TEST_F(ResultFilesTest, HoldLogitsRowsAndTimesOfEveryImage) {
  ResultFiles files({"a/1.jpg", "b/2.jpg", "c/3.jpg"}, results_, times_, 1);
  files.Write({{0, 2}, {1, 2, 4, 3}, 10}, 2, {"cat", "dog"});
  files.Write({{1}, {6, 5, 0, 0}, 30}, 2, {"cat", "dog"});  // a batch of two, of which one is padding
  files.Commit(3, 2, "{\"format\": 1}");
  EXPECT_EQ(ReadValues(results_ / "a__1_0.bin"), (std::vector<float>{1, 2}));
  EXPECT_EQ(ReadValues(results_ / "b__2_0.bin"), (std::vector<float>{6, 5}));
  EXPECT_EQ(ReadValues(results_ / "c__3_0.bin"), (std::vector<float>{4, 3}));
  EXPECT_EQ(Read(results_ / "predictions.csv"),
            "path,rank,class,name,probability\n"
            "a/1.jpg,1,1,dog,0.731059\nc/3.jpg,1,0,cat,0.731059\nb/2.jpg,1,0,cat,0.731059\n");
  EXPECT_EQ(Read(results_ / "metadata.json"), "{\"format\": 1}");
  EXPECT_EQ(Read(times_ / "test_perform_static.txt"),
            "NN inference cost average time: 20 ms of infer_count 2\n"
            "count: 2\nimages: 3\nbatch_size: 2\naverage_ms: 20.000\np50_ms: 10.000\np95_ms: 30.000\np99_ms: 30.000\n");
}

TEST_F(ResultFilesTest, ThatAreNotCommittedLeaveTheLogitsAlone) {
  { ResultFiles({"1.jpg", "2.jpg"}, results_, times_, 1).Write({{0}, {1, 2}, 10}, 2, {}); }
  EXPECT_EQ(ReadValues(results_ / "1_0.bin"), (std::vector<float>{1, 2}));
  fs::remove(results_ / "1_0.bin");
  EXPECT_TRUE(fs::is_empty(results_));
  EXPECT_TRUE(fs::is_empty(times_));
}

TEST_F(ResultFilesTest, ThatCannotBeWrittenAreNamedAtOnce) {
  EXPECT_THROW(ResultFiles({"a/1.jpg", "a__1.jpg"}, results_, times_, 1), UsageError);
  EXPECT_FALSE(fs::exists(results_));
  EXPECT_THROW(ResultFiles({"1.jpg"}, Write("a file"), times_, 1), fs::filesystem_error);
  EXPECT_FALSE(fs::exists(times_));
}

TEST_F(ResultFilesTest, OfAnotherRunAreRefusedAndStay) {
  for (const std::string name : {"old_0.bin", "predictions.csv", "metadata.json", ".writing-1.csv"}) {
    const fs::path old = Write("new/results/" + name, "old");
    EXPECT_THROW(ResultFiles({"1.jpg"}, results_, times_, 1), UsageError) << name;
    EXPECT_EQ(Read(old), "old");
    fs::remove(old);
    EXPECT_TRUE(fs::is_empty(results_));
    EXPECT_FALSE(fs::exists(times_));
  }
  Write("new/results/notes.txt");
  ResultFiles({"1.jpg"}, results_, times_, 1).Commit(0, 1, "");
  EXPECT_FALSE(fs::exists(results_ / "metadata.json"));
  EXPECT_THROW(ResultFiles({"1.jpg"}, results_, times_, 1), UsageError);
}

TEST_F(ResultFilesTest, AreOfOneRunAtATime) {
  {
    ResultFiles first({"1.jpg"}, results_, times_, 1);
    EXPECT_THROW(ResultFiles({"1.jpg"}, results_, folder_ / "more times", 1), UsageError);
    EXPECT_THROW(ResultFiles({"1.jpg"}, folder_ / "more results", times_, 1), UsageError);
    EXPECT_THROW(ResultFiles({"1.jpg"}, times_, folder_ / "more times", 1), UsageError);
    first.Commit(0, 1, "");
  }
  EXPECT_EQ(Read(results_ / "predictions.csv"), "path,rank,class,name,probability\n");
  EXPECT_TRUE(fs::is_empty(folder_ / "more results"));
  fs::remove_all(results_);
  ResultFiles({"1.jpg"}, results_, times_, 1).Commit(0, 1, "");
}

TEST_F(ResultFilesTest, AndTimesMayShareAFolder) {
  ResultFiles({"1.jpg"}, results_, folder_ / "new" / "." / "results", 1).Commit(0, 1, "");
  EXPECT_TRUE(fs::exists(results_ / "predictions.csv"));
  EXPECT_TRUE(fs::exists(results_ / "test_perform_static.txt"));
}

TEST_F(ResultFilesTest, DoNotKeepTheTemporaryTimesOfAKilledRun) {
  Write("times/.writing-1.txt", "half");
  Write("times/test_perform_static.txt", "older");
  ResultFiles({"1.jpg"}, results_, times_, 1).Commit(0, 1, "");
  EXPECT_FALSE(fs::exists(times_ / ".writing-1.txt"));
}

TEST_F(ResultFilesTest, OfProbabilitiesAreAsTheNetworkGivesThem) {
  ResultFiles files({"1.jpg", "2.jpg"}, results_, times_, 2);
  files.Write({{0}, {0.25, 0.75, 9, 9}, 10}, 2, {}, Scores::kProbabilities);  // padding may be anything
  EXPECT_EQ(ReadValues(results_ / "1_0.bin"), (std::vector<float>{0.25, 0.75}));
  EXPECT_THROW(files.Write({{1}, {0.25, 0.5, 0, 1}, 10}, 2, {}, Scores::kProbabilities), std::runtime_error);
  files.Commit(1, 2, "");
  EXPECT_EQ(Read(results_ / "predictions.csv"),
            "path,rank,class,name,probability\n1.jpg,1,1,,0.75\n1.jpg,2,0,,0.25\n");
}

TEST_F(ResultFilesTest, AreOfFiniteLogitsAlone) {
  for (const float wrong : {NAN, INFINITY, -INFINITY}) {
    {
      ResultFiles files({"1.jpg", "2.jpg"}, results_, times_, 1);
      files.Write({{0}, {1, 2, wrong, 0}, 10}, 2, {});  // padding may be anything
      EXPECT_THROW(files.Write({{1}, {1, wrong, 1, 2}, 10}, 2, {}), std::runtime_error);
    }
    fs::remove(results_ / "1_0.bin");
    EXPECT_TRUE(fs::is_empty(results_));
  }
}

}  // namespace
}  // namespace infer
