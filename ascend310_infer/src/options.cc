#include "options.h"

#include <CLI/CLI.hpp>
#include <iostream>
#include <limits>
#include <map>
#include <string>

#include "cores.h"
#include "errors.h"

namespace infer {
namespace {

const std::map<std::string, DeviceType> kDevices = {{"Ascend310", DeviceType::kAscend310},
                                                    {"Ascend310P", DeviceType::kAscend310P},
                                                    {"GPU", DeviceType::kGpu},
                                                    {"CPU", DeviceType::kCpu}};

}  // namespace

std::optional<Options> ParseOptions(int argc, const char *const *argv) {
  Options options;
  options.threads = AvailableCores();
  CLI::App app("Classify every image of a folder with an exported Xception.\n"
               "Exit status: 0 all images predicted, 1 failure, 2 wrong usage, 3 some images skipped.",
               "xception_infer");
  app.option_defaults()->always_capture_default();
  app.add_option("--model_path", options.model_path, "The exported .mindir file")
      ->required()
      ->check(CLI::ExistingFile);
  app.add_option("--dataset_path", options.dataset_path, "The folder of images; sub-folders are read too")
      ->required()
      ->check(CLI::ExistingDirectory);
  std::string device = "Ascend310";
  app.add_option("--device_type", device, "Ascend310, Ascend310P, GPU or CPU")
      ->check(CLI::IsMember(kDevices).description(""));
  app.add_option("--device_id", options.device_id, "The number of the device")
      ->check(CLI::Range(uint32_t{0}, std::numeric_limits<uint32_t>::max()).description(""));
  app.add_option("--result_path", options.result_path,
                 "The folder of the logits, a .bin file an image, predictions.csv and metadata.json; it may hold none "
                 "before");
  app.add_option("--time_path", options.time_path, "The folder of test_perform_static.txt");
  app.add_option("--threads", options.threads, "Threads that read and decode images, 1 to 1024")
      ->check(CLI::Range(1u, 1024u).description(""));
  app.add_option("--topk", options.topk, "Classes an image in predictions.csv, 1 or more")
      ->check(CLI::Range(size_t{1}, std::numeric_limits<size_t>::max()).description(""));
  app.add_option("--class_names", options.class_names,
                 "A UTF-8 text with the name of class 0, 1, ... on its lines, in the place of the model's own")
      ->check(CLI::ExistingFile);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp &) {
    std::cout << app.help();
    return std::nullopt;
  } catch (const CLI::ParseError &error) {
    throw UsageError(std::string(error.what()) + " (--help lists the options)");
  }
  options.device_type = kDevices.at(device);
  return options;
}

}  // namespace infer
