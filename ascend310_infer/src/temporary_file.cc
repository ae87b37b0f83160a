#include "temporary_file.h"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace infer {
namespace {

// Whoever ends the program keeps the lock, so that no other thread makes one more file.
struct Registry {
  std::mutex mutex;
  std::multiset<std::string> paths;
};

// Never destroyed: the thread that waits for signals may outlive what is.
Registry &TheRegistry() {
  static Registry *const registry = new Registry;
  return *registry;
}

bool IsIgnored(int signal_number) {
  struct sigaction action {};
  return sigaction(signal_number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

void EndOnSignal(const sigset_t &signals) {
  int signal_number = 0;
  while (sigwait(&signals, &signal_number) != 0) {
  }
  TheRegistry().mutex.lock();
  for (const std::string &path : TheRegistry().paths) {
    std::remove(path.c_str());
  }
  // Dies of the signal, so that whoever has started the program sees which one it was.
  signal(signal_number, SIG_DFL);
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  raise(signal_number);
}

}  // namespace

TemporaryFile::TemporaryFile(std::filesystem::path path) : path_(std::move(path)) {
  const std::lock_guard lock(TheRegistry().mutex);
  file_.reset(std::fopen(path_.c_str(), "wb"));
  if (file_) {
    TheRegistry().paths.insert(path_.string());
  }
}

TemporaryFile::~TemporaryFile() {
  if (is_renamed_) {
    return;
  }
  const std::lock_guard lock(TheRegistry().mutex);
  const auto place = TheRegistry().paths.find(path_.string());
  if (place != TheRegistry().paths.end()) {
    std::remove(path_.c_str());
    TheRegistry().paths.erase(place);
  }
}

bool TemporaryFile::Rename(const std::filesystem::path &path) {
  // Some file systems tell only here that they are full.
  if (std::fclose(file_.release()) != 0) {
    return false;
  }
  const std::lock_guard lock(TheRegistry().mutex);
  if (std::rename(path_.c_str(), path.c_str()) != 0) {
    return false;
  }
  TheRegistry().paths.erase(TheRegistry().paths.find(path_.string()));
  is_renamed_ = true;
  return true;
}

void RemoveTemporaryFilesOnSignals() {
  for (const int ignored : {SIGPIPE, SIGXFSZ}) {
    signal(ignored, SIG_IGN);
  }
  sigset_t signals;
  sigemptyset(&signals);
  for (const int ending : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) {
    if (!IsIgnored(ending)) {
      sigaddset(&signals, ending);
    }
  }
  // Every thread that is started from here on inherits this; one of them waits for the signals.
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  try {
    std::thread(EndOnSignal, signals).detach();
  } catch (const std::system_error &) {
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  }
}

}  // namespace infer
