// Answers: the worker publishes and rings whom the engine has announced, and waits for room when
// the ring is full; a caller sleeps on an eventfd, and may hand over to the reactor. Every
// interleaving of the ring's and the announcement's own code, with every stale read. What the
// engine does around them is engine/dispatch's, retold here without its spinning.
#include <memory>
#include <utility>

#include "ipc/announcement.h"
#include "tests/model/checked_ring.h"
#include "tests/model/explored.h"
#include "tests/model/planted_bug.h"

namespace dspool::model {
namespace {

using ipc::Receiver;

// The kernel orders what is done to an eventfd.
class Bell {
 public:
  explicit Bell(const char* name) { count_.set_name(name); }

  void ring() { count_.fetch_add(1, std::memory_order_seq_cst); }
  void await_ring() const { count_.await_change(0, std::memory_order_seq_cst); }
  void clear() { count_.exchange(0, std::memory_order_seq_cst); }

 private:
  Atomic<std::uint64_t> count_ = 0;
};

class Answers {
 public:
  Answers(RingBytes& bytes, std::uint32_t record_pages) : ring_(bytes, record_pages) {
    receiver_.set_name("receiver");
    receiver_.plant(planted_bug().receiver);
    token_is_taken_.set_name("token");
  }

  // As WorkerChannel sends: what finds no room publishes, and waits for some.
  void send() {
    while (!ring_.push()) {
      publish();
      ring_.await_room();
    }
  }
  void publish() {
    ring_.publish();
    const Receiver receiver = ipc::whom_to_ring(receiver_);
    if (receiver == Receiver::kCaller) caller_bell_.ring();
    if (receiver == Receiver::kReactor) reactor_bell_.ring();
  }

  // A caller, who holds the receive token from the beginning.
  void receive(std::uint64_t records) {
    while (ring_.popped() < records) {
      if (ring_.pop()) continue;
      ipc::announce(receiver_, Receiver::kCaller);
      if (!planted_bug().looks_again || ring_.empty()) {
        caller_bell_.await_ring();
        caller_bell_.clear();
      }
      ipc::announce(receiver_, Receiver::kNobody);
    }
  }
  void hand_over() {
    ipc::announce(receiver_, Receiver::kReactor);
    const bool left_over = planted_bug().looks_again && ring_.has_records();
    token_is_taken_.store(0, std::memory_order_release);
    if (left_over) reactor_bell_.ring();
  }

  // The reactor, until `records` have been received by it and others.
  void react(std::uint64_t records) {
    bool announced = false;
    for (std::uint64_t popped = 0; popped < records;) {
      if (ring_.has_records()) {
        if (token_is_taken_.exchange(1, std::memory_order_acquire) != 0) {
          token_is_taken_.await_change(1, std::memory_order_relaxed);  // it goes round and round
          continue;
        }
        if (std::exchange(announced, false)) ipc::announce(receiver_, Receiver::kNobody);
        while (ring_.pop()) continue;
        popped = ring_.popped();
        token_is_taken_.store(0, std::memory_order_release);
      } else if (announce_reactor(announced)) {
        reactor_bell_.await_ring();
        reactor_bell_.clear();
      }
    }
  }

 private:
  // false: a record came in the meantime.
  bool announce_reactor(bool& announced) {
    if (std::exchange(announced, true)) return true;
    // A caller that has the token announces the reactor when it stops.
    if (token_is_taken_.exchange(1, std::memory_order_acquire) != 0) return true;
    ipc::announce(receiver_, Receiver::kReactor);
    token_is_taken_.store(0, std::memory_order_release);
    return !ring_.has_records();
  }

  CheckedRing ring_;
  Atomic<std::uint32_t> receiver_ = static_cast<std::uint32_t>(Receiver::kNobody);
  Atomic<std::uint32_t> token_is_taken_ = 1;
  Bell caller_bell_{"caller's bell"};
  Bell reactor_bell_{"reactor's bell"};
};

class AnswerModelTest : public testing::Test {
 protected:
  RingBytes bytes_;
};

TEST_F(AnswerModelTest, EachAnswerWakesTheCaller) {
  expect_no_failure([this](Execution& execution) {
    const auto answers = std::make_shared<Answers>(bytes_, kQuarterPages);
    execution.add_thread("worker", [answers] {
      for (int answer = 0; answer < 3; ++answer) {
        answers->send();
        answers->publish();
      }
    });
    execution.add_thread("caller", [answers] { answers->receive(3); });
  });
}

TEST_F(AnswerModelTest, TheReactorReceivesWhatACallerLeaves) {
  expect_no_failure([this](Execution& execution) {
    const auto answers = std::make_shared<Answers>(bytes_, kQuarterPages);
    execution.add_thread("worker", [answers] {
      for (int answer = 0; answer < 2; ++answer) {
        answers->send();
        answers->publish();
      }
    });
    execution.add_thread("caller", [answers] {
      answers->receive(1);
      answers->hand_over();
    });
    execution.add_thread("reactor", [answers] { answers->react(2); });
  });
}

TEST_F(AnswerModelTest, NoRoomIsLostInAFullRing) {
  expect_no_failure([this](Execution& execution) {
    const auto answers = std::make_shared<Answers>(bytes_, kQuarterPages);
    for (int answer = 0; answer < 3; ++answer) answers->send();
    answers->publish();
    execution.add_thread("worker", [answers] {
      for (int answer = 0; answer < 3; ++answer) answers->send();
      answers->publish();
    });
    execution.add_thread("caller", [answers] { answers->receive(6); });
  });
}

// Three records of 33 pages leave 29: the fourth goes to the beginning, behind a padding.
TEST_F(AnswerModelTest, NoRoomIsLostBehindAPadding) {
  expect_no_failure([this](Execution& execution) {
    const auto answers = std::make_shared<Answers>(bytes_, kQuarterPages + 1);
    for (int answer = 0; answer < 3; ++answer) answers->send();
    answers->publish();
    execution.add_thread("worker", [answers] {
      for (int answer = 0; answer < 2; ++answer) answers->send();
      answers->publish();
    });
    execution.add_thread("caller", [answers] { answers->receive(5); });
  });
}

}  // namespace
}  // namespace dspool::model
