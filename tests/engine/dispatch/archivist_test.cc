#include "engine/dispatch/archivist.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "tests/support/fragile_store.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;

class ArchivistTest : public testing::Test {
 protected:
  static std::unique_ptr<Errand> errand(Errand::Kind kind, std::string_view id) {
    auto made = std::make_unique<Errand>();
    made->kind = kind;
    made->session = session::make_session(id, {});
    return made;
  }

  test::FragileStore store_;
  ipc::StateSegment segment_{std::size_t{1} << 20};
  telemetry::Log log_{LogLevel::kOff};
  telemetry::Metrics metrics_;
  ErrandRunner runner_{store_, store_.own().value(), segment_, log_};
  Archivist archivist_{runner_, milliseconds(0), log_, metrics_};
};

// The store fails when the session's end is written, and once more when it is written again.
TEST_F(ArchivistTest, ASessionsEndIsWrittenAgainUntilTheStoreTakesIt) {
  std::promise<void> begun;
  std::promise<Errand::End> ended;
  int unknown = 0;
  archivist_.run(
      [&](std::span<Errand* const> told) {
        for (const Errand* errand : told) {
          if (errand->kind == Errand::Kind::kBegin) {
            begun.set_value();
          } else if (errand->end != Errand::End::kUnknown) {
            ended.set_value(errand->end);
          } else {
            ++unknown;
            store_.fail_next(false);
          }
        }
      },
      {});
  archivist_.start(errand(Errand::Kind::kBegin, "a"));
  begun.get_future().wait();
  store_.fail_next(false);
  archivist_.start(errand(Errand::Kind::kRemove, "a"));
  EXPECT_EQ(ended.get_future().get(), Errand::End::kDone);
  archivist_.finish();
  EXPECT_EQ(unknown, 1);
  EXPECT_EQ(metrics_.store_retries.value(), 2U);
  EXPECT_EQ(store_.sessions(), 0U);
}

TEST_F(ArchivistTest, WhereTheStoreStaysBrokenTheLastTryIsAtTheEnd) {
  std::promise<void> failed;
  int given_up = 0;
  archivist_.run(
      [&](std::span<Errand* const> told) {
        for (const Errand* errand : told) {
          if (errand->end == Errand::End::kUnknown) failed.set_value();
          if (errand->end == Errand::End::kNot) ++given_up;
        }
      },
      {});
  store_.fail_next(false, 1'000'000);
  archivist_.start(errand(Errand::Kind::kRemove, "a"));
  failed.get_future().wait();
  archivist_.finish();
  EXPECT_EQ(given_up, 1);
}

// However long it has to be waited for, errands are not.
TEST_F(ArchivistTest, IsIdleAgainAfterTheTimeThatItWasTold) {
  std::promise<void> loaded;
  std::promise<void> idle_for_the_last_time;
  int times = 0;
  archivist_.run([&](std::span<Errand* const>) { loaded.set_value(); },
                 [&]() -> std::optional<milliseconds> {
                   switch (++times) {
                     case 1:
                       return milliseconds(0);
                     case 2:
                       return milliseconds(5);
                     case 3:
                       idle_for_the_last_time.set_value();
                       return std::chrono::hours(1);
                     default:
                       return std::nullopt;
                   }
                 });
  idle_for_the_last_time.get_future().wait();
  archivist_.start(errand(Errand::Kind::kLoad, "a"));
  loaded.get_future().wait();
  archivist_.finish();
  EXPECT_EQ(times, 3);
}

}  // namespace
}  // namespace dspool::dispatch
