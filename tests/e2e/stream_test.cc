// Callers who listen: what a command emits comes in order, ahead of its answer, and whoever is slow
// or goes away concerns nobody else.
#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ipc/chunk_window.h"
#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"

namespace dspool {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::uint64_t kWindow = ipc::ChunkWindow::kMostChunks;

Config streaming_pool(std::uint32_t workers = 1) {
  Config config = test::pool_config(workers, "streamer:Streamer");
  config.worker.cancel_grace = minutes(5);  // a command that is killed instead hangs its test
  return config;
}

// A thread on which completions and chunks run.
class TaskThread {
 public:
  ~TaskThread() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    if (thread_.joinable()) thread_.join();
  }
  void post(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
  }
  // Nothing that was posted runs before this.
  void start() {
    thread_ = std::thread([this] { run(); });
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool ending_ = false;
  std::thread thread_;
};

// What a caller hears of one submitted call, and whether that was as promised.
class Listener {
 public:
  // `heard`: told of each chunk, outside of any lock of this.
  explicit Listener(std::function<void(const Chunk&)> heard = {}) : heard_(std::move(heard)) {}

  CallOptions options() {
    CallOptions options;
    options.timeout = minutes(10);
    options.on_chunk = [this](const Chunk& chunk) { hear(chunk); };
    return options;
  }
  Completion completion() {
    return [this](Result<Answer> answer) {
      EXPECT_FALSE(ended_.exchange(true)) << "two completions";
      EXPECT_EQ(listening_.load(), 0);
      answer_.set_value(std::move(answer));
    };
  }

  // The call's end.
  Result<Answer> wait() { return answer_.get_future().get(); }
  [[nodiscard]] std::vector<Chunk> chunks() const {
    const std::lock_guard lock(mutex_);
    return chunks_;
  }
  // Waits until so many chunks were heard.
  void wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(more_.wait_for(lock, test::kPatience, [&] { return chunks_.size() >= count; }));
  }

 private:
  void hear(const Chunk& chunk) {
    EXPECT_EQ(listening_.fetch_add(1), 0) << "two chunks at once";
    EXPECT_FALSE(ended_.load()) << "a chunk after the completion";
    {
      const std::lock_guard lock(mutex_);
      chunks_.push_back(chunk);
    }
    more_.notify_all();
    listening_.fetch_sub(1);
    if (heard_) heard_(chunk);
  }

  std::function<void(const Chunk&)> heard_;
  std::atomic<int> listening_{0};
  std::atomic<bool> ended_{false};
  mutable std::mutex mutex_;
  std::condition_variable more_;
  std::vector<Chunk> chunks_;
  std::promise<Result<Answer>> answer_;
};

// That each chunk is the next of its attempt, and attempts follow each other.
void expect_in_order(const std::vector<Chunk>& chunks) {
  std::uint32_t attempt = 1;
  std::uint64_t index = 0;
  for (const Chunk& chunk : chunks) {
    if (chunk.attempt > attempt) {
      attempt = chunk.attempt;
      index = 0;
    }
    ASSERT_EQ(chunk.attempt, attempt);
    ASSERT_EQ(chunk.index, index++);
  }
}

TEST(StreamTest, ChunksComeInOrderAndTheAnswerLast) {
  const auto engine = test::start_pool(streaming_pool());
  ASSERT_NE(engine, nullptr);
  Listener listener;
  engine->submit("a", "count", {{"chunks", 500}}, listener.completion(), listener.options());
  const auto answer = listener.wait();
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->value.as_int64(), 1);
  EXPECT_EQ(answer->version, 1U);
  const auto chunks = listener.chunks();
  ASSERT_EQ(chunks.size(), 500U);
  expect_in_order(chunks);
  EXPECT_EQ(chunks.back().value.as_int64(), 499);
  EXPECT_EQ(engine->stats().chunks, 500U);
  EXPECT_THAT(test::check_history(engine->history()), IsEmpty());
}

TEST(StreamTest, AnAnonymousCallStreamsToo) {
  const auto engine = test::start_pool(streaming_pool());
  ASSERT_NE(engine, nullptr);
  Listener listener;
  engine->submit({}, "count", {{"chunks", 3}}, listener.completion(), listener.options());
  EXPECT_TRUE(listener.wait());
  EXPECT_EQ(listener.chunks().size(), 3U);
}

TEST(StreamTest, ACallThatBlocksHearsChunksOnItsOwnThread) {
  const auto engine = test::start_pool(streaming_pool());
  ASSERT_NE(engine, nullptr);
  std::vector<std::thread::id> threads;
  CallOptions options;
  options.on_chunk = [&](const Chunk&) { threads.push_back(std::this_thread::get_id()); };
  const auto answer = engine->execute_in_session("a", "count", {{"chunks", 100}}, options);
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(threads.size(), 100U);
  EXPECT_THAT(threads, Each(std::this_thread::get_id()));
  const auto refused = engine->execute_in_session("", "count", {}, options);
  EXPECT_EQ(test::code_of(refused), "invalid_session_id");
}

// The one thread of the executor may be the one that waits.
TEST(StreamTest, ARefusedCallThatBlocksNeedsNobodyElse) {
  TaskThread tasks;  // which nobody starts
  Config config = streaming_pool();
  config.completion_executor = [&](std::function<void()> task) { tasks.post(std::move(task)); };
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  Listener listener;
  CallOptions options = listener.options();
  options.create_session = false;
  const auto refused = engine->execute_in_session("absent", "count", {{"chunks", 1}}, options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "session_not_found");
}

TEST(StreamTest, AChunkMayBeLong) {
  const auto engine = test::start_pool(streaming_pool());
  ASSERT_NE(engine, nullptr);
  for (const std::int64_t size : {std::int64_t{1} << 20, std::int64_t{20} << 20}) {
    std::size_t heard = 0;
    CallOptions options;
    options.on_chunk = [&](const Chunk& chunk) { heard = chunk.value.view().as_bytes().size(); };
    const auto answer = engine->execute_in_session("a", "emit_bytes", {{"size", size}}, options);
    ASSERT_TRUE(answer) << answer.error().describe();
    EXPECT_EQ(heard, static_cast<std::size_t>(size));
  }
}

// The window is all that the engine holds for it; the worker's other thread, and other workers, go
// on.
TEST(StreamTest, ASlowCallerHoldsUpNobodyElse) {
  TaskThread tasks;
  tasks.start();
  Config config = streaming_pool(2);
  config.worker.max_in_flight = 2;
  config.completion_executor = [&](std::function<void()> task) { tasks.post(std::move(task)); };
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  std::promise<void> go_on;
  std::shared_future<void> may_go_on(go_on.get_future());
  Listener listener([&](const Chunk&) { may_go_on.wait(); });
  engine->submit("slow", "count", {{"chunks", 300}}, listener.completion(), listener.options());
  listener.wait_for(1);
  while (engine->stats().chunks < kWindow) std::this_thread::sleep_for(milliseconds(1));
  for (int i = 1; i <= 20; ++i) {
    for (const char* session : {"b", "c", "d"}) {
      const auto answer = engine->execute_in_session(session, "increment", {});
      ASSERT_TRUE(answer) << answer.error().describe();
      EXPECT_EQ(answer->value.as_int64(), i);
    }
  }
  CallOptions options;
  std::size_t others = 0;
  options.on_chunk = [&](const Chunk&) { ++others; };
  EXPECT_TRUE(engine->execute_in_session("e", "count", {{"chunks", 100}}, options));
  EXPECT_EQ(others, 100U);
  EXPECT_EQ(engine->stats().chunks, kWindow + 100) << "more than the window has come";
  go_on.set_value();
  EXPECT_TRUE(listener.wait());
  EXPECT_EQ(listener.chunks().size(), 300U);
  expect_in_order(listener.chunks());
  EXPECT_EQ(engine->stats().workers_lost, 0U);
}

// What a call that has ended left behind: nothing in its session, and a slot that is free at once.
void expect_free(Engine& engine) {
  const auto answer = engine.execute_in_session("a", "increment", {});
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->value.as_int64(), 1);
  EXPECT_EQ(engine.stats().workers_lost, 0U);
  EXPECT_EQ(engine.stats().late_answers, 0U) << "it was not acknowledged";
  EXPECT_THAT(test::check_history(engine.history()), IsEmpty());
}

TEST(StreamTest, ACancelInTheMiddleFreesTheSession) {
  const auto engine = test::start_pool(streaming_pool());
  ASSERT_NE(engine, nullptr);
  for (const char* command : {"count_for_ever", "say_and_check"}) {
    Listener listener;
    const CallId call = engine->submit("b", command, {}, listener.completion(), listener.options());
    listener.wait_for(1);
    EXPECT_TRUE(engine->cancel(call));
    EXPECT_EQ(test::code_of(listener.wait()), "cancelled");
    EXPECT_EQ(test::code_of(engine->read_fields("b")), "ok") << "the session is still taken";
  }
  expect_free(*engine);
}

TEST(StreamTest, AListenerMayCancel) {
  const auto engine = test::start_pool(streaming_pool());
  ASSERT_NE(engine, nullptr);
  std::promise<CallId> named;
  std::shared_future<CallId> call(named.get_future());
  Listener listener([&](const Chunk& chunk) {
    if (chunk.index == 100) {
      EXPECT_TRUE(engine->cancel(call.get()));
    }
  });
  named.set_value(
      engine->submit("a", "count_for_ever", {}, listener.completion(), listener.options()));
  EXPECT_EQ(test::code_of(listener.wait()), "cancelled");
  EXPECT_EQ(listener.chunks().size(), 101U);
  expect_free(*engine);
}

TEST(StreamTest, AListenerThatThrowsCancels) {
  const auto engine = test::start_pool(streaming_pool());
  ASSERT_NE(engine, nullptr);
  Listener listener([](const Chunk& chunk) {
    if (chunk.index == 5) throw std::runtime_error("the connection is closed");
  });
  engine->submit("a", "count_for_ever", {}, listener.completion(), listener.options());
  const auto answer = listener.wait();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "cancelled");
  EXPECT_THAT(answer.error().cause, HasSubstr("the connection is closed"));
  EXPECT_EQ(listener.chunks().size(), 6U);
  expect_free(*engine);
}

TEST(StreamTest, TheDeadlineEndsIt) {
  const auto engine = test::start_pool(streaming_pool());
  ASSERT_NE(engine, nullptr);
  for (const char* command : {"count_for_ever", "say_and_check"}) {
    Listener listener;
    CallOptions options = listener.options();
    options.timeout = milliseconds(200);
    engine->submit("a", command, {}, listener.completion(), options);
    EXPECT_EQ(test::code_of(listener.wait()), "deadline_exceeded");
    expect_in_order(listener.chunks());
  }
  expect_free(*engine);
}

TEST(StreamTest, AnotherAttemptBeginsAnew) {
  const auto engine = test::start_pool(streaming_pool(2));
  ASSERT_NE(engine, nullptr);
  Listener listener([](const Chunk& chunk) {
    if (chunk.attempt == 1 && chunk.index == 2) {
      ::kill(static_cast<int>(chunk.value.as_int64()), SIGKILL);
    }
  });
  CallOptions options = listener.options();
  options.max_retries = 1;
  engine->submit("a", "say_pid", {{"chunks", 3}}, listener.completion(), options);
  const auto answer = listener.wait();
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->attempts, 2U);
  EXPECT_EQ(answer->value.as_int64(), 1);
  const auto chunks = listener.chunks();
  ASSERT_EQ(chunks.size(), 6U);
  expect_in_order(chunks);
  EXPECT_EQ(chunks[3].attempt, 2U);
  EXPECT_NE(chunks[3].value.as_int64(), chunks[2].value.as_int64());
  EXPECT_THAT(test::check_history(engine->history()), IsEmpty());
}

TEST(StreamTest, AStoredAnswerComesWithoutChunks) {
  const auto engine = test::start_pool(streaming_pool());
  ASSERT_NE(engine, nullptr);
  for (const std::size_t chunks : {4U, 0U}) {
    Listener listener;
    CallOptions options = listener.options();
    options.idempotency_key = "once";
    engine->submit("a", "count", {{"chunks", 4}}, listener.completion(), options);
    const auto answer = listener.wait();
    ASSERT_TRUE(answer) << answer.error().describe();
    EXPECT_EQ(answer->value.as_int64(), 1);
    EXPECT_EQ(listener.chunks().size(), chunks);
  }
}

TEST(StreamTest, AnEngineThatStopsEndsIt) {
  Config config = streaming_pool();
  config.worker.cancel_grace = milliseconds(50);
  auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  Listener listener;
  engine->submit("a", "count_for_ever", {}, listener.completion(), listener.options());
  listener.wait_for(10);
  engine.reset();
  EXPECT_FALSE(listener.wait());
  expect_in_order(listener.chunks());
}

// The executor is the caller's: what it was given may run when the engine has gone.
TEST(StreamTest, ChunksMayBeHeardAfterTheEngineIsGone) {
  TaskThread tasks;
  Config config = streaming_pool();
  config.completion_executor = [&](std::function<void()> task) { tasks.post(std::move(task)); };
  auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  Listener listener;
  const std::string in_the_slab(100'000, 'x');
  engine->submit("a", "count", {{"chunks", kWindow}, {"padding", in_the_slab}},
                 listener.completion(), listener.options());
  while (engine->stats().total_requests == 0) std::this_thread::sleep_for(milliseconds(1));
  engine.reset();
  tasks.start();
  const auto answer = listener.wait();
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(listener.chunks().size(), kWindow);
  expect_in_order(listener.chunks());
}

TEST(UsageTest, IsThatOfAllAttempts) {
  const auto engine = test::start_pool(streaming_pool());
  ASSERT_NE(engine, nullptr);
  const auto answer = engine->execute_in_session("a", "use_tokens", {{"fails_before", 3}},
                                                 {.max_retries = 2, .idempotency_key = "once"});
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->attempts, 3U);
  EXPECT_EQ(answer->usage.input_tokens, 300U);
  EXPECT_EQ(answer->usage.output_tokens, 21U);
  const auto again = engine->execute_in_session("a", "use_tokens", {{"fails_before", 3}},
                                                {.idempotency_key = "once"});
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(again->usage.input_tokens, 0U) << "nothing was charged for it";
  EXPECT_FALSE(engine->execute_in_session("a", "use_tokens", {{"fails_before", 2}}));
  EXPECT_EQ(engine->stats().input_tokens, 400U) << "what failed was charged for, too";
  EXPECT_EQ(engine->stats().output_tokens, 28U);
}

}  // namespace
}  // namespace dspool
