// The network through its C functions: bytes are floats, images do not depend on one another, threads and children may
// call, memory does not grow, and what cannot be done is told in a line.
#include "classifier.h"

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "checks.h"

extern "C" const char *XceptionProfile(int on);

namespace xception {
namespace {

constexpr Index kClasses = 5;

std::vector<std::vector<float>> RandomParameters() {
  std::vector<std::vector<float>> all;
  const auto norm = [&](Index channels) {
    for (int i = 0; i < 4; ++i) {
      all.push_back(RandomValues<float>(channels, 0.3));
    }
    for (float &value : all[all.size() - 3]) {
      value = 1 + std::abs(value);  // the variance
    }
  };
  const auto convolution = [&](Index values, Index out) {
    all.push_back(RandomValues<float>(values * out, 1 / std::sqrt(static_cast<double>(values))));
  };
  const auto units = [&](const std::vector<Index> &widths) {
    for (std::size_t i = 0; i + 1 < widths.size(); ++i) {
      convolution(9, widths[i]);
      convolution(widths[i], widths[i + 1]);
      norm(widths[i + 1]);
    }
  };
  const auto strided = [&](const std::vector<Index> &widths) {
    convolution(widths.front(), widths.back());
    norm(widths.back());
    units(widths);
  };
  convolution(27, 32), norm(32);
  convolution(32 * 9, 64), norm(64);
  strided({64, 128, 128}), strided({128, 256, 256}), strided({256, 728, 728});
  for (int i = 0; i < 8; ++i) {
    units({728, 728, 728, 728});
  }
  strided({728, 728, 1024});
  units({1024, 1536, 2048});
  convolution(2048, kClasses), all.push_back(RandomValues<float>(kClasses));
  return all;
}

struct Network {
  Network(const std::vector<std::vector<float>> &parameters, bool is_half, bool symmetric) {
    std::vector<const float *> pointers;
    for (const auto &values : parameters) {
      pointers.push_back(values.data());
    }
    char error[200] = "";
    network = XceptionCreate(is_half, symmetric, kClasses, pointers.data(), error, sizeof(error));
    CHECK(network, "%s", error);
  }
  ~Network() { XceptionDestroy(network); }

  std::vector<float> Run(const void *images, bool are_bytes, Index n, Index height, Index width) const {
    std::vector<float> logits(n * kClasses, std::nanf(""));
    char error[200] = "";
    CHECK(XceptionRun(network, images, are_bytes, n, height, width, logits.data(), error, sizeof(error)) == 0, "%s",
          error);
    return logits;
  }
  void *network;
};

std::vector<float> Normalised(const std::vector<std::uint8_t> &bytes, Index images) {
  const Index pixels = Index(bytes.size()) / 3 / images;
  std::vector<float> floats(bytes.size());
  for (Index i = 0; i < Index(bytes.size()); ++i) {
    floats[(i / 3 / pixels * 3 + i % 3) * pixels + i / 3 % pixels] = (static_cast<float>(bytes[i]) - 127.5F) / 127.5F;
  }
  return floats;
}

void TestImages(const Network &network, double tolerance) {
  constexpr Index kImages = 3, kHeight = 74, kWidth = 85;
  std::vector<std::uint8_t> bytes(kImages * kHeight * kWidth * 3);
  for (std::uint8_t &value : bytes) {
    value = static_cast<std::uint8_t>(Between(0, 255));
  }
  const auto logits = network.Run(bytes.data(), true, kImages, kHeight, kWidth);
  std::vector<float> floats = Normalised(bytes, kImages);
  CHECK(network.Run(floats.data(), false, kImages, kHeight, kWidth) == logits);
  std::vector<float> alone;
  for (Index i = 0; i < kImages; ++i) {
    const auto one = network.Run(bytes.data() + i * kHeight * kWidth * 3, true, 1, kHeight, kWidth);
    alone.insert(alone.end(), one.begin(), one.end());
  }
  CHECK(Difference(alone, logits) <= tolerance, "%g", Difference(alone, logits));
  floats[kHeight * kWidth * 3 + 1000] = std::nanf("");  // in the second one
  const auto spoilt = network.Run(floats.data(), false, kImages, kHeight, kWidth);
  for (Index i = 0; i < Index(logits.size()); ++i) {
    CHECK(i / kClasses == 1 ? std::isnan(spoilt[i]) : spoilt[i] == logits[i], "%ld: %g", i, double{spoilt[i]});
  }

  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] { CHECK(network.Run(bytes.data(), true, kImages, kHeight, kWidth) == logits); });
  }
  for (std::thread &thread : threads) {
    thread.join();
  }
  const pid_t child = fork();
  if (child == 0) {
    _exit(network.Run(bytes.data(), true, kImages, kHeight, kWidth) == logits ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  CHECK(status == 0);

  std::size_t used = 0;
  for (int i = 0; i < 9; ++i) {
    network.Run(bytes.data(), true, 1 + i % 3, kHeight, kWidth);
    const auto now = mallinfo2();
    used = i < 3 ? now.uordblks + now.hblkhd : used;  // all sizes have come once
    CHECK(now.uordblks + now.hblkhd <= used + (64 << 10), "%zu bytes, then %zu", used, now.uordblks + now.hblkhd);
  }
}

void TestProfile(const Network &network) {
  const std::vector<float> images(2 * 3 * 71 * 71);
  XceptionProfile(1);
  network.Run(images.data(), false, 2, 71, 71);
  const std::string told = XceptionProfile(0);
  for (const char *line : {"stem of 71 x 71 x 3\t\t1\t", "block of 5 x 5 x 728\t\t8\t",
                           "block of 5 x 5 x 728\t1 x 1 convolution, forward\t24\t"}) {
    CHECK(told.find(line) != std::string::npos, "%s in %s", line, told.c_str());
  }
  network.Run(images.data(), false, 2, 71, 71);
  CHECK(std::string(XceptionProfile(0)).empty());
}

void TestWrongCalls(const Network &network) {
  std::vector<float> images(71 * 71 * 3), logits(kClasses);
  const Index wrong[][3] = {{0, 71, 71}, {-1, 71, 71}, {1, 70, 71}, {1, 71, 70}};
  for (const auto &sizes : wrong) {
    char error[200] = "";
    CHECK(XceptionRun(network.network, images.data(), 0, sizes[0], sizes[1], sizes[2], logits.data(), error,
                      sizeof(error)) == 1);
    CHECK(std::string(error).find("images must be") == 0, "%s", error);
  }
  char error[10] = "";
  CHECK(!XceptionCreate(0, 0, 0, nullptr, error, sizeof(error)));
  CHECK(std::string(error) == "a network", "%s", error);  // as much as there is place for
  XceptionDestroy(nullptr);
}

}  // namespace
}  // namespace xception

int main() {
  using namespace xception;
  char error[200] = "";
  CHECK(XceptionTry(error, sizeof(error)) == 0, "%s", error);
  CHECK(XceptionThreads() == XceptionUsableThreads());
  for (const int threads : {3, 1, 2}) {  // the last is what computes below
    XceptionUseThreads(threads);
    CHECK(XceptionThreads() == threads);
  }
  const auto parameters = RandomParameters();
  {
    const Network network(parameters, false, true);
    TestImages(network, 1e-5);
    TestProfile(network);
    TestWrongCalls(network);
  }
  if (XceptionHasHalf()) {
    TestImages(Network(parameters, true, false), 2e-2);
  } else {
    CHECK(!XceptionCreate(1, 0, kClasses, nullptr, error, sizeof(error)));
    CHECK(std::string(error).find("bfloat16") != std::string::npos, "%s", error);
  }
  return Failures() ? 1 : 0;
}
