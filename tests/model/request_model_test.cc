// Requests: the engine publishes and rings, the worker sleeps on a futex. Every interleaving of
// the ring's and the doorbell's own code, with every stale read.
#include <memory>

#include "ipc/doorbell.h"
#include "tests/model/checked_ring.h"
#include "tests/model/explored.h"
#include "tests/model/planted_bug.h"

namespace dspool::model {
namespace {

class Requests {
 public:
  explicit Requests(RingBytes& bytes) : ring_(bytes, kQuarterPages) {
    sleeping_.set_name("sleeping");
    doorbell_.set_name("doorbell");
    sleeping_.plant(planted_bug().sleeping);
    doorbell_.plant(planted_bug().doorbell);
  }

  CheckedRing& ring() { return ring_; }

  void send(int records) {
    for (int record = 0; record < records; ++record) ring_.push();
    ring_.publish();
  }
  void ring_if_due() {
    if (ringer_.is_due()) ringer_.ring();
  }

  // As WorkerChannel::wait, with a spin that looks once.
  void receive(int records) {
    const auto nothing_there = [this] { return !planted_bug().looks_again || ring_.empty(); };
    for (int received = 0; received < records;) {
      if (ring_.pop()) {
        ++received;
      } else {
        sleeper_.sleep(nothing_there, std::chrono::hours(1));
      }
    }
  }

 private:
  CheckedRing ring_;
  Atomic<std::uint32_t> sleeping_ = 0;
  Atomic<std::uint32_t> doorbell_ = 0;
  ipc::BasicSleeper<Atomic> sleeper_{sleeping_, doorbell_};
  ipc::BasicRinger<Atomic> ringer_{doorbell_, sleeping_};
};

class RequestModelTest : public testing::Test {
 protected:
  RingBytes bytes_;
};

TEST_F(RequestModelTest, EachRequestWakesTheWorker) {
  expect_no_failure([this](Execution& execution) {
    const auto requests = std::make_shared<Requests>(bytes_);
    execution.add_thread("engine", [requests] {
      for (int request = 0; request < 2; ++request) {
        requests->send(1);
        requests->ring_if_due();
      }
    });
    execution.add_thread("worker", [requests] { requests->receive(2); });
  });
}

TEST_F(RequestModelTest, OneRingIsEnoughForABatch) {
  expect_no_failure([this](Execution& execution) {
    const auto requests = std::make_shared<Requests>(bytes_);
    execution.add_thread("engine", [requests] {
      requests->send(1);
      requests->send(2);
      requests->ring_if_due();
      requests->send(1);
      requests->ring_if_due();
    });
    execution.add_thread("worker", [requests] { requests->receive(4); });
  });
}

// Sending is serialised, ringing is not: another's ring may come first, or in between.
TEST_F(RequestModelTest, SendersMayRingForEachOther) {
  expect_no_failure([this](Execution& execution) {
    const auto requests = std::make_shared<Requests>(bytes_);
    const auto turn = std::make_shared<Atomic<std::uint32_t>>(0);
    turn->set_name("turn");
    execution.add_thread("sender 1", [requests, turn] {
      requests->send(1);
      turn->store(1, std::memory_order_release);
      requests->ring_if_due();
    });
    execution.add_thread("sender 2", [requests, turn] {
      turn->await_change(0, std::memory_order_acquire);
      requests->send(1);
      requests->ring_if_due();
    });
    execution.add_thread("worker", [requests] { requests->receive(2); });
  });
}

}  // namespace
}  // namespace dspool::model
