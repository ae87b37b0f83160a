#include "settle.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace infer {
namespace {

void RemarkOnSize(const ModelShape &model, const Metadata &metadata, std::vector<std::string> *remarks) {
  const auto [height, width] = model.image_size;
  if (metadata.image_size && (height != *metadata.image_size || width != *metadata.image_size)) {
    remarks->push_back("the model takes " + std::to_string(height) + " x " + std::to_string(width) +
                       ", its weights were trained at " + std::to_string(*metadata.image_size));
  }
}

void RemarkOnNames(const ModelShape &model, const Metadata &metadata, const std::vector<std::string> &given,
                   std::vector<std::string> *remarks) {
  if (given.empty() || metadata.class_names.empty()) {
    return;
  }
  const auto [ours, theirs] = std::mismatch(given.begin(), given.end(), metadata.class_names.begin());
  if (ours != given.end()) {
    remarks->push_back("the names of --class_names count, which are not those in " + model.path.string() + ": class " +
                       std::to_string(ours - given.begin()) + " is " + *ours + ", and there " + *theirs);
  }
}

void RemarkOnGaps(const ModelShape &model, const Metadata &metadata, bool has_names,
                  std::vector<std::string> *remarks) {
  std::string assumed = metadata.crop_pct ? "" : "to 320 / 299 of the image size";
  if (!metadata.interpolation) {
    assumed += assumed.empty() ? "bilinear" : ", bilinear";
  }
  std::string gaps = assumed.empty() ? "" : "how images are resized (assumed: " + assumed + ")";
  if (!has_names) {
    gaps += gaps.empty() ? "" : ", nor ";
    gaps += "what its classes are called (predictions.csv has numbers only)";
  }
  if (!gaps.empty()) {
    remarks->push_back(model.path.string() + " does not say " + gaps);
  }
}

Resizing ResizingOf(const Metadata &metadata) {
  Resizing resizing;
  resizing.crop_pct = metadata.crop_pct.value_or(resizing.crop_pct);
  if (metadata.interpolation == "bicubic") {
    resizing.interpolation = Interpolation::kBicubic;
  }
  return resizing;
}

}  // namespace

Settled Settle(const ModelShape &model, const Metadata &metadata, const std::vector<std::string> &given) {
  const std::vector<std::string> &known = metadata.class_names;
  if (!known.empty() && known.size() != model.classes) {
    throw std::runtime_error("the metadata in " + model.path.string() + " has " + std::to_string(known.size()) +
                             " class names, but the network has " + std::to_string(model.classes) +
                             " classes: export it again");
  }
  Settled settled;
  settled.class_names = given.empty() ? known : given;
  settled.description = given.empty() ? metadata.text : WithClassNames(metadata.text, given);
  settled.resizing = ResizingOf(metadata);
  RemarkOnSize(model, metadata, &settled.remarks);
  RemarkOnNames(model, metadata, given, &settled.remarks);
  RemarkOnGaps(model, metadata, !settled.class_names.empty(), &settled.remarks);
  return settled;
}

}  // namespace infer
