#include "metadata.h"

#include <algorithm>
#include <exception>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string_view>

namespace infer {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;          // that is read
constexpr int kDeepest = 100;       // levels of nesting: some functions of the library recurse
constexpr int kLargestSide = 1 << 16;
constexpr size_t kMostShown = 60;  // bytes of a wrong value

std::runtime_error Damaged(const std::string &where, const std::string &reason) {
  return std::runtime_error("the metadata in " + where + " is damaged: " + reason);
}

Json Parse(const std::string &text) {
  return Json::parse(text, [](int depth, Json::parse_event_t, Json &) {
    if (depth > kDeepest) {
      throw std::length_error("nested too deeply");
    }
    return true;
  });
}

std::string ToText(const Json &value) { return value.dump(-1, ' ', true).substr(0, kMostShown); }

bool IsText(const Json &value) { return value.is_string(); }

bool IsWord(const Json &value, std::initializer_list<std::string_view> words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return value == word; });
}

bool IsIn(const Json &value, int64_t least, int64_t most) {
  // A number that int64_t does not hold is read as unsigned or as a fraction.
  return value.is_number_integer() && value >= least && value <= most;
}

bool IsNames(const Json &value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), [](const Json &name) {
    return name.is_string() && !name.get_ref<const std::string &>().empty();
  });
}

bool IsChannels(const Json &value) {
  return value.is_array() && value.size() == 3 &&
         std::all_of(value.begin(), value.end(), [](const Json &channel) { return channel.is_number(); });
}

bool IsObjectOf(const Json &value, bool (*is_good)(const Json &)) {
  return value.is_object() && std::all_of(value.begin(), value.end(), is_good);
}

struct Check {
  const char *key;
  bool (*is_good)(const Json &);
};

const std::initializer_list<Check> kChecks = {
    {"class_names", IsNames},
    {"image_size", [](const Json &value) { return IsIn(value, 1, kLargestSide); }},
    {"crop_pct", [](const Json &value) { return value.is_number() && value > 0 && value <= 1; }},
    {"interpolation", [](const Json &value) { return IsWord(value, {"bilinear", "bicubic"}); }},
    {"mean", IsChannels},
    {"std",
     [](const Json &value) {
       return IsChannels(value) && std::all_of(value.begin(), value.end(), [](const Json &each) { return each > 0; });
     }},
    {"colour_order", IsText},
    {"pool_padding", [](const Json &value) { return IsWord(value, {"same", "symmetric"}); }},
    {"amp_level", [](const Json &value) { return IsWord(value, {"O0", "O2", "O3"}); }},
};

const std::initializer_list<Check> kProvenanceChecks = {
    {"source", IsText},
    {"versions", [](const Json &value) { return IsObjectOf(value, IsText); }},
    {"recipe",
     [](const Json &value) {
       return IsObjectOf(value, [](const Json &item) { return item.is_boolean() || item.is_number() || IsText(item); });
     }},
    {"images", [](const Json &value) { return value.is_number_unsigned(); }},
    {"training_list", IsText},
};

void CheckParts(const Json &found, const std::initializer_list<Check> &checks, const std::string &where) {
  for (const auto &[key, is_good] : checks) {
    const auto part = found.find(key);
    if (part != found.end() && !is_good(*part)) {
      throw Damaged(where, std::string("its ") + key + " is " + ToText(*part));
    }
  }
}

// Throws for images that no part of this project makes: conversion folds other values into the weights.
void CheckNormalization(const Json &found, const std::string &where) {
  const Json usual = {127.5, 127.5, 127.5};
  const Json mean = found.value("mean", usual);
  const Json deviation = found.value("std", usual);
  const std::string order = found.value("colour_order", "RGB");
  if (mean == usual && deviation == usual && order == "RGB") {
    return;
  }
  const auto listed = [](const Json &channels) {
    return "(" + channels[0].dump() + ", " + channels[1].dump() + ", " + channels[2].dump() + ")";
  };
  throw std::runtime_error(where + " takes " + order + " images of mean " + listed(mean) + " and deviation " +
                           listed(deviation) + "; here they are RGB of mean and deviation 127.5: " +
                           "tools/convert_weights.py folds the difference into weights");
}

// Returns the object that has a format number, without parts that are null.
Json ReadObject(const std::string &text, const std::string &where) {
  Json found;
  try {
    found = Parse(text);
  } catch (const std::exception &) {
    found = nullptr;
  }
  if (!found.is_object() || !found.contains("format")) {
    throw Damaged(where, "it is no JSON with a format number");
  }
  const Json &number = found["format"];
  if (!number.is_number_integer() || number < 1) {
    throw Damaged(where, "its format is " + ToText(number));
  }
  if (number > kFormat) {
    throw std::runtime_error("the metadata in " + where + " has format " + number.dump() +
                             ", and this version reads up to " + std::to_string(kFormat) +
                             ": use a newer version of this project");
  }
  for (auto part = found.begin(); part != found.end();) {
    part = part->is_null() ? found.erase(part) : std::next(part);
  }
  return found;
}

}  // namespace

Metadata ParseMetadata(const std::string &text, const std::string &where) {
  const Json found = ReadObject(text, where);
  CheckParts(found, kChecks, where);
  const Json provenance = found.value("provenance", Json::object());
  if (!provenance.is_object()) {
    throw Damaged(where, "its provenance is no object");
  }
  CheckParts(provenance, kProvenanceChecks, where);
  CheckNormalization(found, where);
  Metadata metadata;
  metadata.text = text;
  metadata.class_names = found.value("class_names", metadata.class_names);
  if (found.contains("image_size")) {
    metadata.image_size = found["image_size"].get<int>();
  }
  if (found.contains("crop_pct")) {
    metadata.crop_pct = found["crop_pct"].get<double>();
  }
  if (found.contains("interpolation")) {
    metadata.interpolation = found["interpolation"].get<std::string>();
  }
  return metadata;
}

std::string WithClassNames(const std::string &text, const std::vector<std::string> &class_names) {
  Json described = text.empty() ? Json{{"format", kFormat}} : Parse(text);
  described["class_names"] = class_names;
  if (!IsNames(described["class_names"])) {
    described.erase("class_names");
  }
  return described.dump(-1, ' ', true);
}

}  // namespace infer
