// The words and ids that operators see: statuses, events, generated session ids.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "dspool/alert.h"
#include "dspool/history.h"
#include "dspool/migration.h"
#include "dspool/session.h"
#include "dspool/session_id.h"
#include "dspool/stats.h"
#include "dspool/value.h"

namespace dspool {
namespace {

TEST(StatusNamesTest, AreLowerCaseWords) {
  EXPECT_EQ(to_string(HealthStatus::kHealthy), "healthy");
  EXPECT_EQ(to_string(HealthStatus::kDegraded), "degraded");
  EXPECT_EQ(to_string(HealthStatus::kUnhealthy), "unhealthy");
  EXPECT_EQ(to_string(WorkerStatus::kStarting), "starting");
  EXPECT_EQ(to_string(WorkerStatus::kIdle), "idle");
  EXPECT_EQ(to_string(WorkerStatus::kBusy), "busy");
  EXPECT_EQ(to_string(WorkerStatus::kSilent), "silent");
  EXPECT_EQ(to_string(WorkerStatus::kDraining), "draining");
  EXPECT_EQ(to_string(WorkerStatus::kDead), "dead");
}

TEST(BreakerStateTest, AreLowerCaseWords) {
  EXPECT_EQ(to_string(BreakerState::kClosed), "closed");
  EXPECT_EQ(to_string(BreakerState::kOpen), "open");
  EXPECT_EQ(to_string(BreakerState::kHalfOpen), "half_open");
  EXPECT_EQ(to_string(BreakerState::kIsolated), "isolated");
}

TEST(AlertKindTest, KindsHaveNames) {
  EXPECT_EQ(to_string(AlertKind::kErrorRate), "error_rate");
  EXPECT_EQ(to_string(AlertKind::kRestartsExhausted), "restarts_exhausted");
}

TEST(MigrationReasonTest, ReasonsHaveNames) {
  EXPECT_EQ(to_string(MigrationReason::kAsked), "asked");
  EXPECT_EQ(to_string(MigrationReason::kDrain), "drain");
  EXPECT_EQ(to_string(MigrationReason::kEvacuate), "evacuate");
  EXPECT_EQ(to_string(MigrationReason::kRecycle), "recycle");
  EXPECT_EQ(to_string(MigrationReason::kResize), "resize");
  EXPECT_EQ(to_string(MigrationReason::kRebalance), "rebalance");
}

TEST(SessionEndTest, EndsHaveNames) {
  EXPECT_EQ(to_string(SessionEnd::kAsked), "asked");
  EXPECT_EQ(to_string(SessionEnd::kExpired), "expired");
  EXPECT_EQ(to_string(SessionEnd::kTemporary), "temporary");
  EXPECT_EQ(to_string(SessionEnd::kStopped), "stopped");
}

TEST(EventTest, KindsHaveNames) {
  EXPECT_EQ(to_string(EventKind::kCallArrived), "call_arrived");
  EXPECT_EQ(to_string(EventKind::kCallEnded), "call_ended");
  EXPECT_EQ(to_string(EventKind::kAttemptSent), "attempt_sent");
  EXPECT_EQ(to_string(EventKind::kAttemptEnded), "attempt_ended");
  EXPECT_EQ(to_string(EventKind::kFenced), "fenced");
  EXPECT_EQ(to_string(EventKind::kCommit), "commit");
  EXPECT_EQ(to_string(EventKind::kMigrated), "migrated");
  EXPECT_EQ(to_string(EventKind::kWorkerReady), "worker_ready");
  EXPECT_EQ(to_string(EventKind::kWorkerLost), "worker_lost");
  EXPECT_EQ(to_string(EventKind::kSessionLoaded), "session_loaded");
  EXPECT_EQ(to_string(EventKind::kSessionEnded), "session_ended");
}

TEST(EventTest, IsOneLineOfJsonWhateverTheSessionIsCalled) {
  const Event event{.kind = EventKind::kAttemptEnded,
                    .time_ns = -5,
                    .call = 1,
                    .request = UINT64_MAX,
                    .version = 3,
                    .epoch = 4,
                    .worker = 5,
                    .attempt = 6,
                    .session = "a \"b\"\n\xFF",
                    .detail = "ok"};
  EXPECT_EQ(event.to_json(),
            R"({"kind":"attempt_ended","time_ns":-5,"call":1,"request":18446744073709551615,)"
            R"("version":3,"epoch":4,"worker":5,"attempt":6,"session":"a \"b\"\n)"
            "\xEF\xBF\xBD"
            R"(","detail":"ok"})");
  EXPECT_EQ(Value::parse_json(event.to_json()).value()["version"].as_int64(), 3);
}

TEST(SessionIdTest, GeneratesValidIdsThatDiffer) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) ids.insert(SessionId::generate());
  EXPECT_EQ(ids.size(), 1000);
  for (const std::string& id : ids) {
    EXPECT_TRUE(SessionId::valid(id));
    EXPECT_EQ(id.size(), 40);
    EXPECT_TRUE(id.starts_with("session-"));
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef", 8), std::string::npos) << id;
  }
}

TEST(SessionIdTest, IsOneToAHundredAndTwentyEightBytes) {
  EXPECT_FALSE(SessionId::valid(""));
  EXPECT_TRUE(SessionId::valid(std::string(1, '\0')));
  EXPECT_TRUE(SessionId::valid(std::string(128, 'x')));
  EXPECT_FALSE(SessionId::valid(std::string(129, 'x')));
}

}  // namespace
}  // namespace dspool
