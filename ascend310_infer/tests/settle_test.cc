#include "settle.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace infer {
namespace {

using Lines = std::vector<std::string>;

const ModelShape kModel = {"net.mindir", {71, 71}, 2};

Metadata Known() {
  return ParseMetadata(R"({"format": 1, "class_names": ["cat", "dog"], "image_size": 71, "crop_pct": 0.9,)"
                       R"( "interpolation": "bicubic"})",
                       "net.mindir");
}

TEST(SettleTest, LetsTheMetadataCountWithoutAWord) {
  const Metadata metadata = Known();
  const Settled settled = Settle(kModel, metadata, {});
  EXPECT_EQ(settled.class_names, (Lines{"cat", "dog"}));
  EXPECT_EQ(settled.description, metadata.text);
  EXPECT_EQ(settled.remarks, Lines{});
}

TEST(SettleTest, LetsTheUserCountAndSaysTheDifference) {
  const Settled settled = Settle(kModel, Known(), {"cat", "wolf"});
  EXPECT_EQ(settled.class_names, (Lines{"cat", "wolf"}));
  EXPECT_EQ(ParseMetadata(settled.description, "").class_names, settled.class_names);
  EXPECT_EQ(settled.remarks, Lines{"the names of --class_names count, which are not those in net.mindir: class 1 is "
                                   "wolf, and there dog"});
  EXPECT_EQ(Settle(kModel, Known(), {"cat", "dog"}).remarks, Lines{});
}

TEST(SettleTest, SaysWhichNamesDiffer) {
  Metadata metadata = Known();
  metadata.class_names[0] = "bird";
  const Settled settled = Settle(kModel, metadata, {"cat", "dog"});
  EXPECT_EQ(settled.remarks, Lines{"the names of --class_names count, which are not those in net.mindir: class 0 is "
                                   "cat, and there bird"});
}

TEST(SettleTest, SaysThatTheModelTakesAnotherSize) {
  EXPECT_EQ(Settle({"net.mindir", {299, 299}, 2}, Known(), {}).remarks,
            Lines{"the model takes 299 x 299, its weights were trained at 71"});
  EXPECT_EQ(Settle({"net.mindir", {71, 72}, 2}, Known(), {}).remarks,
            Lines{"the model takes 71 x 72, its weights were trained at 71"});
}

TEST(SettleTest, SaysWhatIsAssumed) {
  const Settled nothing = Settle(kModel, {}, {});
  EXPECT_EQ(nothing.class_names, Lines{});
  EXPECT_EQ(nothing.description, "");
  EXPECT_EQ(nothing.remarks,
            Lines{"net.mindir does not say how images are resized (assumed: to 320 / 299 of the image size, bilinear), "
                  "nor what its classes are called (predictions.csv has numbers only)"});
  const Settled named = Settle(kModel, {}, {"cat", "dog"});
  EXPECT_EQ(ParseMetadata(named.description, "").class_names, (Lines{"cat", "dog"}));
  EXPECT_EQ(named.remarks, Lines{"net.mindir does not say how images are resized (assumed: to 320 / 299 of the image "
                                 "size, bilinear)"});
  Metadata part = Known();
  part.interpolation.reset();
  EXPECT_EQ(Settle(kModel, part, {}).remarks,
            Lines{"net.mindir does not say how images are resized (assumed: bilinear)"});
  part = Known();
  part.crop_pct.reset();
  EXPECT_EQ(Settle(kModel, part, {}).remarks,
            Lines{"net.mindir does not say how images are resized (assumed: to 320 / 299 of the image size)"});
  part = Known();
  part.class_names.clear();
  EXPECT_EQ(Settle(kModel, part, {}).remarks,
            Lines{"net.mindir does not say what its classes are called (predictions.csv has numbers only)"});
}

TEST(SettleTest, RefusesNamesThatAreNotOneAClass) {
  for (const Lines &given : {Lines{}, Lines{"a", "b", "c"}}) {
    EXPECT_THROW(Settle({"net.mindir", {71, 71}, 3}, Known(), given), std::runtime_error);
  }
}

}  // namespace
}  // namespace infer
