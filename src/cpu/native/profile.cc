#include "profile.h"

#include <map>
#include <mutex>
#include <string>
#include <tuple>

namespace xception {
namespace {

struct Spent {
  Index calls = 0;
  std::chrono::nanoseconds time{0};
};

struct Profile {
  std::mutex mutex;
  std::string part, told;
  std::map<std::tuple<std::string, std::string, Index, Index>, Spent> all;  // by part, kernel and its work

  static Profile &Get() {
    static auto &profile = *new Profile;  // to the end, when threads may still compute
    return profile;
  }
};

}  // namespace

void BeginPart(const char *name, const Shape &x) {
  Profile &profile = Profile::Get();
  const std::lock_guard<std::mutex> lock(profile.mutex);
  profile.part = std::string(name) + " of " + std::to_string(x.height) + " x " + std::to_string(x.width) + " x " +
                 std::to_string(x.channels);
}

void AddToProfile(const char *kernel, const Cost &cost, std::chrono::nanoseconds time) {
  Profile &profile = Profile::Get();
  const std::lock_guard<std::mutex> lock(profile.mutex);
  Spent &spent = profile.all[{profile.part, kernel, cost.operations, cost.bytes}];
  ++spent.calls;
  spent.time += time;
}

}  // namespace xception

using namespace xception;

#pragma GCC visibility push(default)
extern "C" {

// Returns what has been timed since the last call, which it forgets, and goes on if `on`. A line for each part of the
// network, kernel (empty: the whole part) and work: these, calls, nanoseconds, and operations and bytes of a call,
// between tabs. It stays until the next call.
const char *XceptionProfile(int on) {
  Profile &profile = Profile::Get();
  const std::lock_guard<std::mutex> lock(profile.mutex);
  profile.told.clear();
  for (const auto &[key, spent] : profile.all) {
    const auto &[part, kernel, operations, bytes] = key;
    profile.told += part + "\t" + kernel;
    for (const Index number : {spent.calls, Index(spent.time.count()), operations, bytes}) {
      profile.told += "\t" + std::to_string(number);
    }
    profile.told += "\n";
  }
  profile.all.clear();
  IsProfiled() = on != 0;
  return profile.told.c_str();
}

}
#pragma GCC visibility pop
