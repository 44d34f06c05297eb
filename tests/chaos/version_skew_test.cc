// Workers of another version than the engine's: none of their answers is taken, and who starts the
// engine is told what to do. The other side, a worker that finds an engine of another version, is
// in tests/python_worker and, of what lies where in shared memory, in tests/ipc.
#include <gmock/gmock.h>

#include <string>

#include "dspool/engine.h"

namespace dspool {
namespace {

using testing::HasSubstr;

TEST(VersionSkewTest, AWorkerOfAnotherProtocolIsRefusedByName) {
  Config config;
  config.pool_size = 1;
  config.overflow = 0;
  config.log_level = LogLevel::kOff;
  config.worker.python = DSPOOL_HOSTILE_WORKER;
  config.worker.adapter = "hostile:unversioned";
  const auto engine = Engine::start(config);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().category, ErrorCategory::kInitialization);
  EXPECT_EQ(engine.error().code, "version_mismatch");
  EXPECT_THAT(engine.error().message, HasSubstr("speaks protocol 0 and this engine protocol 1"));
  EXPECT_THAT(engine.error().message, HasSubstr("worker.python_path"));
  EXPECT_EQ(engine.error().worker, "worker-0");
}

}  // namespace
}  // namespace dspool
