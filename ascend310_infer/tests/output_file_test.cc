#include "output_file.h"

#include <filesystem>
#include <string>
#include <system_error>

#include "temporary_folder.h"

namespace fs = std::filesystem;

namespace infer {
namespace {

class OutputFileTest : public InFolder {
 protected:
  bool IsEmpty() const { return fs::is_empty(folder_); }
};

TEST_F(OutputFileTest, AppearsWhenItIsCommitted) {
  {
    OutputFile file(folder_ / "a.csv");
    file.Write("one\n");
    file.Write("two\n");
    EXPECT_FALSE(fs::exists(folder_ / "a.csv"));
    file.Commit();
  }
  EXPECT_EQ(Read(folder_ / "a.csv"), "one\ntwo\n");
  fs::remove(folder_ / "a.csv");
  EXPECT_TRUE(IsEmpty());
}

TEST_F(OutputFileTest, LeavesNothingBehindUncommitted) {
  { OutputFile(folder_ / "a.csv").Write("half"); }
  EXPECT_TRUE(IsEmpty());
}

TEST_F(OutputFileTest, ReplacesAnOlderFile) {
  Write("a.csv", "older and longer");
  OutputFile file(folder_ / "a.csv");
  file.Write("new");
  file.Commit();
  EXPECT_EQ(Read(folder_ / "a.csv"), "new");
}

TEST_F(OutputFileTest, TakesTheLongestName) {
  const std::string name(255, 'n');
  OutputFile file(folder_ / name);
  file.Commit();
  EXPECT_TRUE(fs::exists(folder_ / name));
}

TEST_F(OutputFileTest, NamesTheFileThatCannotBeWritten) {
  try {
    OutputFile file(folder_ / "missing" / "a.csv");
    FAIL() << "no error";
  } catch (const std::system_error &error) {
    EXPECT_NE(std::string(error.what()).find("missing/a.csv"), std::string::npos);
  }
  fs::create_directory(folder_ / "taken");
  Write("taken/x");
  OutputFile file(folder_ / "taken");
  EXPECT_THROW(file.Commit(), std::system_error);
}

TEST_F(OutputFileTest, OfARunThatWasKilledIsRemoved) {
  Write(".writing-1.csv");
  Write(".writing-22.txt");
  Write("writing.txt");
  RemoveUncommitted(folder_);
  fs::remove(folder_ / "writing.txt");
  EXPECT_TRUE(IsEmpty());
}

TEST_F(OutputFileTest, FlushesAFolderThatIsThere) {
  EXPECT_NO_THROW(FlushFolder(folder_));
  try {
    FlushFolder(folder_ / "missing");
    FAIL() << "no error";
  } catch (const std::system_error &error) {
    EXPECT_NE(std::string(error.what()).find("missing"), std::string::npos);
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
  }
}

}  // namespace
}  // namespace infer
