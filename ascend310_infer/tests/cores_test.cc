#include "cores.h"

#include <gtest/gtest.h>
#include <sched.h>

namespace infer {
namespace {

TEST(Cores, AreThoseThatTheProcessMayUse) {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
  EXPECT_EQ(AvailableCores(), static_cast<unsigned>(CPU_COUNT(&all)));
  int core = 0;
  while (!CPU_ISSET(core, &all)) {
    ++core;
  }
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  EXPECT_EQ(AvailableCores(), 1u);
  EXPECT_EQ(sched_setaffinity(0, sizeof(all), &all), 0);
}

}  // namespace
}  // namespace infer
