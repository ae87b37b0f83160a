#include "model_entries.h"

#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

#include "mindir_version.h"
#include "model_bytes.h"
#include "temporary_folder.h"

namespace infer {
namespace {

using namespace std::string_literals;

const std::string kJson = R"({"format": 1, "class_names": ["cat", "dog"], "image_size": 71})";

class ModelEntriesTest : public InFolder {
 protected:
  std::string Refusal(const std::string &content) const {
    const std::filesystem::path path = Write("net.mindir", content);
    try {
      ReadModelMetadata(path);
      return "";
    } catch (const std::runtime_error &error) {
      const std::string message = error.what();
      EXPECT_NE(message.find(path.string()), std::string::npos);
      return message;
    }
  }
};

TEST_F(ModelEntriesTest, AreReadAtTheEndOfAModel) {
  const std::filesystem::path path = Write("net.mindir", DescribedModel(kJson));
  const Metadata metadata = ReadModelMetadata(path);
  EXPECT_EQ(metadata.text, kJson);
  EXPECT_EQ(metadata.class_names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(ReadMindirVersion(path), 1u);
}

TEST_F(ModelEntriesTest, NeedNotBeThere) {
  for (const std::string &content : {ModelBytes(), ""s, "no protobuf"s, std::string(1000, '\0'),
                                     ModelBytes() + Entry("another key", "of another program"),
                                     ModelBytes() + BytesField(14, "no pair"), DescribedModel(kJson) + "!",
                                     WithDigest(ModelBytes())}) {
    EXPECT_EQ(ReadModelMetadata(Write("net.mindir", content)).text, "");
  }
  EXPECT_THROW(ReadModelMetadata(folder_ / "missing"), std::system_error);
}

TEST_F(ModelEntriesTest, NeedNoDigestAsOtherProgramsWriteThem) {
  const std::string content = Entry("xception.metadata", kJson) + ModelBytes();
  EXPECT_EQ(ReadModelMetadata(Write("net.mindir", content)).text, kJson);
}

TEST_F(ModelEntriesTest, TellEveryChangeOfAModel) {
  const std::string model = DescribedModel(kJson);
  const size_t covered = model.find("xception.sha256") - 6;  // tags and lengths of the last entry stand before it
  for (size_t place = 0; place < model.size(); ++place) {
    std::string changed = model;
    changed[place] = static_cast<char>(changed[place] ^ 1 << place % 8);
    const std::filesystem::path path = Write("net.mindir", changed);
    try {
      // What is no protobuf any more says nothing, as its loader will say.
      const std::string text = ReadModelMetadata(path).text;
      EXPECT_TRUE(text.empty() || place >= covered) << place;
    } catch (const std::runtime_error &) {
    }
  }
  const std::string in_weights = model.substr(0, 100) + '\xfe' + model.substr(101);
  for (const std::string &changed : {in_weights, model + Entry("more", ""), model + ModelBytes(), model + model,
                                     ModelBytes() + Entry("xception.sha256", Sha256(ModelBytes())) +
                                     Entry("xception.metadata", kJson), ModelBytes() + Entry("xception.sha256", "")}) {
    EXPECT_NE(Refusal(changed).find(" is damaged, or was changed by another program: its content does not fit its "
                                    "digest; copy or export it again"),
              std::string::npos);
  }
}

TEST_F(ModelEntriesTest, ThatAreDamagedAreTold) {
  EXPECT_NE(Refusal(DescribedModel("{\"format\": 1, \"a\": \"\xff\"}")).find("is damaged: it is no JSON"),
            std::string::npos);
  EXPECT_NE(Refusal(DescribedModel("")).find("is damaged: it is no JSON"), std::string::npos);
  EXPECT_NE(Refusal(DescribedModel(R"({"format": 9})")).find(" has format 9"), std::string::npos);
}

TEST_F(ModelEntriesTest, MayBeLarge) {
  std::string names = R"({"format": 1, "class_names": ["cat")";
  while (names.size() < 10000000) {
    names += ", \"" + std::string(200, 'x') + '"';
  }
  const std::string json = names + "]}";
  EXPECT_EQ(ReadModelMetadata(Write("net.mindir", DescribedModel(json))).text, json);
}

}  // namespace
}  // namespace infer
