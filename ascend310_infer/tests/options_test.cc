#include "options.h"

#include <optional>
#include <string>
#include <vector>

#include "cores.h"
#include "errors.h"
#include "temporary_folder.h"

namespace infer {
namespace {

class OptionsTest : public InFolder {
 protected:
  std::optional<Options> Parse(std::vector<std::string> words) const {
    std::vector<const char *> arguments = {"main"};
    for (const std::string &word : words) {
      arguments.push_back(word.c_str());
    }
    return ParseOptions(static_cast<int>(arguments.size()), arguments.data());
  }

  const std::string model_ = "--model_path=" + Write("a model.mindir").string();
  const std::string data_ = "--dataset_path=" + folder_.string();
};

TEST_F(OptionsTest, HaveDefaults) {
  const std::optional<Options> options = Parse({model_, data_});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->model_path, folder_ / "a model.mindir");
  EXPECT_EQ(options->device_type, DeviceType::kAscend310);
  EXPECT_EQ(options->device_id, 0u);
  EXPECT_EQ(options->result_path, "result_Files");
  EXPECT_EQ(options->time_path, "time_Result");
  EXPECT_EQ(options->threads, AvailableCores());
  EXPECT_EQ(options->topk, 5u);
  EXPECT_EQ(options->max_image_pixels, 178956970u);
  EXPECT_EQ(options->class_names, "");
}

TEST_F(OptionsTest, AreTakenWithAndWithoutEqualsSign) {
  const std::optional<Options> options =
      Parse({model_, data_, "--device_type", "CPU", "--device_id=3", "--threads", "7", "--topk=2"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->device_type, DeviceType::kCpu);
  EXPECT_EQ(options->device_id, 3u);
  EXPECT_EQ(options->threads, 7u);
  EXPECT_EQ(options->topk, 2u);
}

TEST_F(OptionsTest, AreDecimalNumbers) {
  const std::optional<Options> options =
      Parse({model_, data_, "--threads=010", "--topk=4294967295", "--max_image_pixels", "1073741824"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->threads, 10u);
  EXPECT_EQ(options->topk, 4294967295u);
  EXPECT_EQ(options->max_image_pixels, 1073741824u);
}

TEST_F(OptionsTest, ThatAreWrongAreUsageErrors) {
  EXPECT_THROW(Parse({}), UsageError);
  EXPECT_THROW(Parse({model_}), UsageError);
  EXPECT_THROW(Parse({data_}), UsageError);
  EXPECT_THROW(Parse({"--model_path=missing.mindir", data_}), UsageError);
  EXPECT_THROW(Parse({model_, "--dataset_path=missing"}), UsageError);
  for (const char *word : {"--device_type=TPU", "--device_id=-1", "--device_id=x", "--threads=0", "--threads=1025",
                           "--topk=0", "--topk=-1", "--topk=100000000000000000000000", "--topk=4294967296",
                           "--topk=0x10", "--topk=+1", "--topk= 1", "--topk=1.5", "--topk=", "--threads=-1",
                           "--threads=18446744073709551617", "--device_id=4294967296", "--device_id=-4294967295",
                           "--max_image_pixels=0", "--max_image_pixels=-1", "--max_image_pixels=1073741825",
                           "--class_names=missing", "--unknown", "word"}) {
    EXPECT_THROW(Parse({model_, data_, word}), UsageError) << word;
  }
}

TEST_F(OptionsTest, HelpNamesEveryOption) {
  testing::internal::CaptureStdout();
  EXPECT_FALSE(Parse({"--help"}));
  const std::string help = testing::internal::GetCapturedStdout();
  for (const char *name : {"--model_path", "--dataset_path", "--device_id", "--device_type", "--result_path",
                           "--time_path", "--threads", "--topk", "--max_image_pixels", "--class_names", "--help"}) {
    EXPECT_NE(help.find(name), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace infer
