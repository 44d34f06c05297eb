// Requests that the engine takes back while the worker comes to begin them. Every interleaving of
// both sides' own code, with every stale read.
#include <array>
#include <memory>

#include "ipc/recall.h"
#include "tests/model/explored.h"
#include "tests/model/planted_bug.h"

namespace dspool::model {
namespace {

class Recalls {
 public:
  static constexpr std::uint64_t kMost = 4;

  Recalls() {
    sent_.set_name("sent");
    claimed_.set_name("claimed");
    recalled_.set_name("recalled");
    claimed_.plant(planted_bug().claimed);
    recalled_.plant(planted_bug().recalled);
  }

  // The engine's side. What it has published is in the ring.
  void send() {
    recaller_.count_request();
    sent_.store(recaller_.sent(), std::memory_order_release);
  }
  void recall() {
    const std::uint64_t begun = recaller_.recall();
    execution_.require(!recaller_.violated(), "the engine accuses an honest worker");
    for (std::uint64_t n = begun + 1; n <= recaller_.sent(); ++n) taken_back_.at(n) = true;
  }

  // The worker's, as RequestLoop: one after the other.
  void serve(std::uint64_t requests) {
    for (std::uint64_t n = 1; n <= requests; ++n) {
      sent_.await_change(n - 1, std::memory_order_acquire);
      (claimer_.claim() ? began_ : skipped_).at(n) = true;
    }
  }

  // Once both have ended.
  void check(std::uint64_t requests) const {
    for (std::uint64_t n = 1; n <= requests; ++n) {
      execution_.require(began_.at(n) != skipped_.at(n), "a request was lost");
      execution_.require(!(taken_back_.at(n) && began_.at(n)), "a request runs twice");
    }
  }
  [[nodiscard]] bool has_begun(std::uint64_t n) const { return began_.at(n); }
  [[nodiscard]] bool was_skipped_in_doubt(std::uint64_t n) const {
    return skipped_.at(n) && !taken_back_.at(n);
  }

 private:
  Execution& execution_ = Execution::current();
  Atomic<std::uint64_t> sent_ = 0;
  Atomic<std::uint64_t> claimed_ = 0;
  Atomic<std::uint64_t> recalled_ = 0;
  ipc::BasicClaimer<Atomic> claimer_{claimed_, recalled_};
  ipc::BasicRecaller<Atomic> recaller_{recalled_, claimed_};
  std::array<bool, kMost + 1> began_{};
  std::array<bool, kMost + 1> skipped_{};
  std::array<bool, kMost + 1> taken_back_{};
};

TEST(RecallModelTest, EachRequestBeginsOnceAtMostAndIsNeverLost) {
  bool begun = false;
  bool skipped_in_doubt = false;
  expect_no_failure([&](Execution& execution) {
    const auto recalls = std::make_shared<Recalls>();
    execution.add_thread("engine", [recalls] {
      for (int request = 0; request < 3; ++request) recalls->send();
      recalls->recall();
    });
    execution.add_thread("worker", [recalls] { recalls->serve(3); });
    execution.at_end([&, recalls] {
      recalls->check(3);
      begun = begun || recalls->has_begun(3);
      skipped_in_doubt = skipped_in_doubt || recalls->was_skipped_in_doubt(2);
    });
  });
  EXPECT_TRUE(begun && skipped_in_doubt) << "or nothing was shown";
}

TEST(RecallModelTest, AsOftenAsTheEngineRecalls) {
  expect_no_failure([](Execution& execution) {
    const auto recalls = std::make_shared<Recalls>();
    execution.add_thread("engine", [recalls] {
      recalls->send();
      recalls->send();
      recalls->recall();
      recalls->send();
      recalls->recall();
      recalls->send();
    });
    execution.add_thread("worker", [recalls] { recalls->serve(4); });
    execution.at_end([recalls] { recalls->check(4); });
  });
}

TEST(RecallModelTest, WhatIsSentAfterARecallBegins) {
  expect_no_failure([](Execution& execution) {
    const auto recalls = std::make_shared<Recalls>();
    execution.add_thread("engine", [recalls] {
      recalls->send();
      recalls->recall();
      recalls->send();
    });
    execution.add_thread("worker", [recalls] { recalls->serve(2); });
    execution.at_end([recalls, &execution] {
      recalls->check(2);
      execution.require(recalls->has_begun(2), "a request that nobody recalled was skipped");
    });
  });
}

}  // namespace
}  // namespace dspool::model
