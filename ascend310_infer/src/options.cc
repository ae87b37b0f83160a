#include "options.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <map>
#include <string>
#include <system_error>

#include "cores.h"
#include "errors.h"

namespace infer {
namespace {

const std::map<std::string, DeviceType> kDevices = {{"Ascend310", DeviceType::kAscend310},
                                                    {"Ascend310P", DeviceType::kAscend310P},
                                                    {"GPU", DeviceType::kGpu},
                                                    {"CPU", DeviceType::kCpu}};

constexpr uint64_t kMostPixels = uint64_t{1} << 30;  // OpenCV decodes no more

// Takes decimal numbers alone: the library would take -1 for the largest number, and 010 for eight.
CLI::Validator WholeNumber(uint64_t least, uint64_t most) {
  const auto check = [least, most](std::string &text) -> std::string {
    uint64_t value = 0;
    const char *const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end || value < least || value > most) {
      return text + " is not a whole number from " + std::to_string(least) + " to " + std::to_string(most);
    }
    text = std::to_string(value);
    return "";
  };
  return CLI::Validator(check, "");
}

// A shell leaves the ~ of --option=~/folder as it is: without this, a folder of that name would appear.
CLI::Validator HomeFolder() {
  const auto expand = [](std::string &path) -> std::string {
    if (path != "~" && path.compare(0, 2, "~/") != 0) {
      return "";
    }
    const char *const home = std::getenv("HOME");
    if (home == nullptr || *home != '/') {
      return path + ": no home folder is known: set HOME to an absolute path, or write the path in full";
    }
    path.replace(0, 1, home);
    return "";
  };
  return CLI::Validator(expand, "");
}

// The model is read more than once, so it cannot be a pipe, and a device might never end.
CLI::Validator IsRegularFile() {
  return CLI::Validator(
      [](std::string &path) {
        std::error_code error;
        return std::filesystem::is_regular_file(path, error) ? "" : path + " is not a regular file";
      },
      "");
}

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
      ->check(CLI::ExistingFile)
      ->check(IsRegularFile())
      ->transform(HomeFolder());
  app.add_option("--dataset_path", options.dataset_path, "The folder of images; sub-folders are read too")
      ->required()
      ->check(CLI::ExistingDirectory)
      ->transform(HomeFolder());
  std::string device = "Ascend310";
  app.add_option("--device_type", device, "Ascend310, Ascend310P, GPU or CPU")
      ->check(CLI::IsMember(kDevices).description(""));
  app.add_option("--device_id", options.device_id, "The number of the device")
      ->transform(WholeNumber(0, std::numeric_limits<uint32_t>::max()));
  app.add_option("--result_path", options.result_path,
                 "The folder of the logits, a .bin file an image, predictions.csv and metadata.json; it may hold none "
                 "before")
      ->transform(HomeFolder());
  app.add_option("--time_path", options.time_path, "The folder of test_perform_static.txt")->transform(HomeFolder());
  app.add_option("--threads", options.threads, "Threads that read and decode images, 1 to 1024")
      ->transform(WholeNumber(1, 1024));
  app.add_option("--topk", options.topk, "Classes an image in predictions.csv, 1 or more")
      ->transform(WholeNumber(1, std::numeric_limits<uint32_t>::max()));
  app.add_option("--max_image_pixels", options.max_image_pixels,
                 "Images with more pixels, by their header, are skipped; 1 to 1073741824")
      ->transform(WholeNumber(1, kMostPixels));
  app.add_option("--class_names", options.class_names,
                 "A UTF-8 text with the name of class 0, 1, ... on its lines, in the place of the model's own")
      ->check(CLI::ExistingFile)
      ->transform(HomeFolder());
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
