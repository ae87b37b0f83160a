#include <exception>
#include <iostream>
#include <optional>

#include "classify.h"
#include "errors.h"
#include "options.h"
#include "printable.h"
#include "temporary_file.h"

namespace {

// The exit status.
enum Status { kAllPredicted = 0, kFailed = 1, kWrongUsage = 2, kSomeSkipped = 3 };

}  // namespace

int main(int argc, char **argv) {
  infer::RemoveTemporaryFilesOnSignals();
  try {
    const std::optional<infer::Options> options = infer::ParseOptions(argc, argv);
    return !options || infer::Classify(*options) ? kAllPredicted : kSomeSkipped;
  } catch (const infer::UsageError &error) {
    std::cerr << "error: " << infer::Printable(error.what()) << std::endl;
    return kWrongUsage;
  } catch (const std::exception &error) {
    std::cerr << "error: " << infer::Printable(error.what()) << std::endl;
    return kFailed;
  }
}
