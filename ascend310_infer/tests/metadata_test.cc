#include "metadata.h"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace infer {
namespace {

// The message of the error that a call ends with; empty if it ends without.
std::string MetadataRefusal(const std::string &text) {
  try {
    ParseMetadata(text, "net.mindir");
    return "";
  } catch (const std::runtime_error &error) {
    return error.what();
  }
}

TEST(MetadataTest, IsWhatTheTextSays) {
  const std::string text =
      R"({"format": 1, "class_names": ["Katze", "\u72d7", "a\nb"], "image_size": 71, "crop_pct": 0.8975,)"
      R"( "interpolation": "bicubic", "mean": [127.5, 127.5, 127.5], "std": [127.5, 127.5, 127.5],)"
      R"( "colour_order": "RGB", "pool_padding": "symmetric", "amp_level": "O2", "provenance": {"source": "training",)"
      R"( "versions": {"mindspore": "2.10"}, "recipe": {"lr": 0.4, "nesterov": true, "mode": "cosine"}, "images": 9,)"
      R"( "training_list": "ab"}})";
  const Metadata metadata = ParseMetadata(text, "net.mindir");
  EXPECT_EQ(metadata.text, text);
  EXPECT_EQ(metadata.class_names, (std::vector<std::string>{"Katze", "狗", "a\nb"}));
  EXPECT_EQ(metadata.image_size, 71);
  EXPECT_EQ(metadata.crop_pct, 0.8975);
  EXPECT_EQ(metadata.interpolation, "bicubic");
}

TEST(MetadataTest, NeedNotSayEverything) {
  for (const char *text : {R"({"format": 1})", R"({"format": 1, "class_names": null, "image_size": null, "new": [{}]})",
                           R"({"format": 1, "mean": [127.5, 127.5, 127.5], "provenance": {"new": null}})"}) {
    const Metadata metadata = ParseMetadata(text, "net.mindir");
    EXPECT_TRUE(metadata.class_names.empty());
    EXPECT_EQ(metadata.image_size, std::nullopt);
    EXPECT_EQ(metadata.crop_pct, std::nullopt);
    EXPECT_EQ(metadata.interpolation, std::nullopt);
  }
}

TEST(MetadataTest, OfANewerFormatIsRefused) {
  EXPECT_EQ(MetadataRefusal(R"({"format": 2, "class_names": 3})"),
            "the metadata in net.mindir has format 2, and this version reads up to 1: use a newer version of this "
            "project");
}

TEST(MetadataTest, WithoutAFormatIsDamaged) {
  const std::string message = "the metadata in net.mindir is damaged: it is no JSON with a format number";
  for (const char *text : {"", "{", "[1]", "3", "\"format\"", "{}", "{\"format\": 1", "{\"format\": 1} 2", "null",
                           "{\"format\": 1, \"a\": \"\\ud800\"}", "{\"format\": 1, \"a\": \"\xff\"}",
                           "{\"format\": 1, \"a\": \"\xc3\"}", "{\"format\": 1, \"a\": 1e999}"}) {
    EXPECT_EQ(MetadataRefusal(text), message) << text;
  }
  EXPECT_EQ(MetadataRefusal(R"({"format": 0})"), "the metadata in net.mindir is damaged: its format is 0");
  EXPECT_EQ(MetadataRefusal(R"({"format": "1"})"), "the metadata in net.mindir is damaged: its format is \"1\"");
  EXPECT_EQ(MetadataRefusal(R"({"format": true})"), "the metadata in net.mindir is damaged: its format is true");
  EXPECT_EQ(MetadataRefusal(R"({"format": 1.0})"), "the metadata in net.mindir is damaged: its format is 1.0");
}

TEST(MetadataTest, WithAPartOfAnotherKindIsDamaged) {
  for (const auto &[key, value] : std::vector<std::pair<std::string, std::string>>{
           {"class_names", "\"cat\""}, {"class_names", "[\"cat\",\"\"]"}, {"class_names", "[1]"},
           {"image_size", "0"}, {"image_size", "65537"}, {"image_size", "71.0"}, {"image_size", "18446744073709551615"},
           {"image_size", "true"}, {"crop_pct", "0"}, {"crop_pct", "1.01"}, {"crop_pct", "-0.5"}, {"crop_pct", "\"1\""},
           {"interpolation", "\"area\""}, {"interpolation", "3"}, {"mean", "[127.5,127.5]"}, {"mean", "127.5"},
           {"std", "[127.5,127.5,0]"}, {"std", "[127.5,127.5,\"1\"]"}, {"colour_order", "[]"},
           {"pool_padding", "\"valid\""}, {"amp_level", "\"O1\""}}) {
    EXPECT_EQ(MetadataRefusal("{\"format\": 1, \"" + key + "\": " + value + "}"),
              "the metadata in net.mindir is damaged: its " + key + " is " + value);
  }
  EXPECT_EQ(MetadataRefusal(R"({"format": 1, "provenance": []})"),
            "the metadata in net.mindir is damaged: its provenance is no object");
  for (const auto &[key, value] : std::vector<std::pair<std::string, std::string>>{
           {"source", "1"}, {"versions", "{\"mindspore\":2}"}, {"recipe", "{\"steps\":[1]}"}, {"images", "-1"},
           {"training_list", "null"}}) {
    EXPECT_EQ(MetadataRefusal("{\"format\": 1, \"provenance\": {\"" + key + "\": " + value + "}}"),
              "the metadata in net.mindir is damaged: its " + key + " is " + value);
  }
}

TEST(MetadataTest, OfImagesOfAnotherKindIsRefused) {
  EXPECT_EQ(MetadataRefusal(R"({"format": 1, "mean": [123.675, 116.28, 104], "std": [58.395, 57.12, 57.375]})"),
            "net.mindir takes RGB images of mean (123.675, 116.28, 104) and deviation (58.395, 57.12, 57.375); here "
            "they are RGB of mean and deviation 127.5: tools/convert_weights.py folds the difference into weights");
  EXPECT_NE(MetadataRefusal(R"({"format": 1, "colour_order": "BGR"})")
                .find("net.mindir takes BGR images of mean (127.5"),
            std::string::npos);
  EXPECT_NE(MetadataRefusal(R"({"format": 1, "std": [127.5, 127.5, 127]})"), "");
}

TEST(MetadataTest, MayBeOfAnySizeAndNotOfAnyDepth) {
  std::string names, open, closed;
  for (int label = 0; label < 100000; ++label) {
    names += (label ? ",\"" : "\"") + std::string(98, 'n') + "\"";
  }
  EXPECT_EQ(ParseMetadata("{\"format\": 1, \"class_names\": [" + names + "]}", "net.mindir").class_names.size(),
            100000u);
  for (const auto &[opening, closing] : {std::pair("[", "]"), std::pair("{\"a\":", "}")}) {
    const auto nested = [opening = opening, closing = closing](int levels) {
      std::string text = R"({"format": 1, "class_names": )";
      for (int level = 0; level < levels; ++level) {
        text += opening;
      }
      text += "1";
      for (int level = 0; level < levels; ++level) {
        text += closing;
      }
      return text + "}";
    };
    EXPECT_NE(MetadataRefusal(nested(50)).find("its class_names is "), std::string::npos);
    for (const int levels : {1000, 1000000}) {
      EXPECT_NE(MetadataRefusal(nested(levels)).find("it is no JSON with a format number"), std::string::npos);
    }
  }
}

TEST(MetadataTest, CanHaveOtherNames) {
  const std::vector<std::string> names = {"Katze", "狗", "\"quoted\""};
  const std::string given = WithClassNames("", names);
  EXPECT_EQ(ParseMetadata(given, "").class_names, names);
  const Metadata changed = ParseMetadata(
      WithClassNames(R"({"format": 1, "class_names": ["a", "b"], "image_size": 71, "new": 1})", names), "");
  EXPECT_EQ(changed.class_names, names);
  EXPECT_EQ(changed.image_size, 71);
  EXPECT_NE(changed.text.find(R"("new":1)"), std::string::npos);
  EXPECT_EQ(WithClassNames(R"({"format": 1, "class_names": ["a", "b"]})", {"a", ""}), R"({"format":1})");
}

}  // namespace
}  // namespace infer
