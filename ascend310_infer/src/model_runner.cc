#include "model_runner.h"

#include <include/api/context.h>
#include <include/api/model.h>
#include <include/api/serialization.h>
#include <include/api/types.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <random>
#include <stdexcept>
#include <string>

#include "cores.h"
#include "mindir_version.h"

namespace infer {
namespace {

std::string ToText(const std::vector<int64_t> &shape) {
  std::string text;
  for (const int64_t side : shape) {
    text += (text.empty() ? "" : " x ") + std::to_string(side);
  }
  return text.empty() ? "(no shape)" : text;
}

// A runtime's message, without its full stop and what follows for its developers.
std::string FirstLine(const std::string &text) {
  const std::string line = text.substr(0, text.find('\n'));
  return line.substr(0, line.find_last_not_of(". \r") + 1);
}

std::shared_ptr<mindspore::DeviceInfoContext> MakeDevice(DeviceType type, uint32_t id) {
  switch (type) {
    case DeviceType::kCpu:
      return std::make_shared<mindspore::CPUDeviceInfo>();
    case DeviceType::kGpu: {
      auto device = std::make_shared<mindspore::GPUDeviceInfo>();
      device->SetDeviceID(id);
      return device;
    }
    case DeviceType::kAscend310:
    case DeviceType::kAscend310P: {
      // The runtime finds out itself which of the two it is.
      auto device = std::make_shared<mindspore::AscendDeviceInfo>();
      device->SetDeviceID(id);
      return device;
    }
  }
  throw std::invalid_argument("unknown device type");
}

// Builds the model from the file; returns the runtime's reason if it refuses, else an empty text.
std::string Build(const std::string &path, const std::shared_ptr<mindspore::Context> &context,
                  mindspore::Model *model) {
  try {
    mindspore::Graph graph;
#ifdef MINDSPORE_IS_LITE
    // Lite builds from files alone, and says why it refuses one only when it is to read it without building.
    mindspore::Status status = model->Build(path, mindspore::kMindIR, context);
    if (!status.IsOk()) {
      const mindspore::Status read = mindspore::Serialization::Load(path, mindspore::kMindIR, &graph);
      status = read.IsOk() ? status : read;
    }
#else
    // The main package builds from graphs alone.
    mindspore::Status status = mindspore::Serialization::Load(path, mindspore::kMindIR, &graph);
    if (status.IsOk()) {
      status = model->Build(mindspore::GraphCell(graph), context);
    }
#endif
    return status.IsOk() ? "" : FirstLine(status.ToString());
  } catch (const std::exception &error) {
    return FirstLine(error.what());
  }
}

// What to do about a model that the runtime refuses for this reason: clauses that begin with "; ".
std::string Advice(const std::filesystem::path &path, const std::string &reason, mindspore::Context &context) {
  const auto device = context.MutableDeviceInfo().front()->GetDeviceType();
  const bool is_supported = mindspore::Model::CheckModelSupport(device, mindspore::kMindIR);
  return AdviceOnRefusal(path, reason) +
         (is_supported ? "" : "; this MindSpore runtime runs no models on this --device_type: an Ascend needs CANN, a "
                              "CPU needs MindSpore Lite");
}

// Throws for a model whose inputs are not one batch of images.
void CheckInputs(const std::vector<mindspore::MSTensor> &inputs, const std::string &path) {
  if (inputs.size() != 1) {
    throw std::runtime_error(path + " has " + std::to_string(inputs.size()) +
                             " inputs: a model with one, the images, is needed");
  }
  const std::vector<int64_t> shape = inputs[0].Shape();
  const bool is_float = inputs[0].DataType() == mindspore::DataType::kNumberTypeFloat32;
  if (!is_float || shape.size() != 4 || shape[0] < 1 || shape[1] != 3 || shape[2] < 1 || shape[3] < 1) {
    throw std::runtime_error("the input of " + path + " is " + (is_float ? "float32 " : "not float32, ") +
                             ToText(shape) + ": float32 images of N x 3 x H x W are needed");
  }
}

// Whether an output is N x classes, with the data that its shape tells.
bool IsLogits(const mindspore::MSTensor &output, int64_t images) {
  const std::vector<int64_t> shape = output.Shape();
  return output.DataType() == mindspore::DataType::kNumberTypeFloat32 && shape.size() == 2 && shape[0] == images &&
         shape[1] > 0 && output.DataSize() == static_cast<size_t>(images * shape[1]) * sizeof(float) && output.Data();
}

}  // namespace

struct ModelRunner::Impl {
  mindspore::Model model;
  std::string input_name;
  std::vector<int64_t> input_shape;
  size_t classes = 0;
  Scores scores = Scores::kLogits;
};

ModelRunner::ModelRunner(const std::filesystem::path &model_path, DeviceType device_type, uint32_t device_id,
                         unsigned threads)
    : impl_(std::make_unique<Impl>()) {
  auto context = std::make_shared<mindspore::Context>();
  context->SetThreadNum(static_cast<int32_t>(threads));
  context->MutableDeviceInfo().push_back(MakeDevice(device_type, device_id));
  const std::string reason = Build(model_path.string(), context, &impl_->model);
  if (!reason.empty()) {
    throw std::runtime_error("cannot load " + model_path.string() + ": " + reason +
                             Advice(model_path, reason, *context));
  }
  const std::vector<mindspore::MSTensor> inputs = impl_->model.GetInputs();
  CheckInputs(inputs, model_path.string());
  impl_->input_name = inputs[0].Name();
  impl_->input_shape = inputs[0].Shape();
  // The first run is slower than the others, and it tells the number of classes.
  std::vector<float> images(batch_size() * image_size().elements());
  std::vector<float> rows = Predict(images);
  impl_->classes = rows.size() / batch_size();
  if (*std::min_element(rows.begin(), rows.end()) < 0) {
    return;  // logits: no need for a second run
  }
  std::mt19937 random;
  std::generate(images.begin(), images.end(), [&] { return std::uniform_real_distribution<float>(-1, 1)(random); });
  const std::vector<float> others = Predict(images);
  rows.insert(rows.end(), others.begin(), others.end());
  impl_->scores = ScoresOf(rows, impl_->classes);
}

ModelRunner::~ModelRunner() = default;

size_t ModelRunner::batch_size() const { return static_cast<size_t>(impl_->input_shape[0]); }

ImageSize ModelRunner::image_size() const {
  return {static_cast<int>(impl_->input_shape[2]), static_cast<int>(impl_->input_shape[3])};
}

size_t ModelRunner::classes() const { return impl_->classes; }

Scores ModelRunner::scores() const { return impl_->scores; }

std::vector<float> ModelRunner::Predict(const std::vector<float> &images) {
  const mindspore::MSTensor input(impl_->input_name, mindspore::DataType::kNumberTypeFloat32, impl_->input_shape,
                                  images.data(), images.size() * sizeof(float));
  std::vector<mindspore::MSTensor> outputs;
  const mindspore::Status status = impl_->model.Predict({input}, &outputs);
  if (!status.IsOk()) {
    throw std::runtime_error("the model failed to run: " + FirstLine(status.ToString()));
  }
  if (outputs.size() != 1 || !IsLogits(outputs[0], impl_->input_shape[0])) {
    throw std::runtime_error("the model does not give one output, float32 logits of N x classes");
  }
  std::vector<float> logits(outputs[0].DataSize() / sizeof(float));
  std::memcpy(logits.data(), outputs[0].Data().get(), logits.size() * sizeof(float));
  return logits;
}

std::vector<std::unique_ptr<ModelRunner>> LoadModels(const std::filesystem::path &model_path, DeviceType device_type,
                                                     uint32_t device_id) {
  const unsigned cores = AvailableCores();
  const unsigned count = device_type == DeviceType::kCpu && cores % 2 == 0 ? 2 : 1;
  std::vector<std::unique_ptr<ModelRunner>> models;
  while (models.size() < count) {
    models.push_back(std::make_unique<ModelRunner>(model_path, device_type, device_id, cores / count));
  }
  return models;
}

}  // namespace infer
