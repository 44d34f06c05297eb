// The engine's dispatcher with one worker or some, stepped by hand: a worker answers and the
// durable store works when a test says so, and time stands still until it is moved.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/history.h"
#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errand_runner.h"
#include "engine/store/memory_store.h"
#include "engine/telemetry/event_history.h"
#include "engine/telemetry/log.h"
#include "engine/telemetry/metrics.h"
#include "tests/support/fragile_store.h"

namespace dspool::dispatch {

struct SteppedCall : Call {
  std::uint32_t times_ended = 0;
  // The code of its error; "ok", "under way" and "ended twice" are none.
  [[nodiscard]] std::string code() const;
};

class SteppedPool final : private Transport, private CallListener {
 public:
  // `archive` null: there is no durable store. Both outlive *this. There are two places for workers
  // at least.
  explicit SteppedPool(ipc::StateSegment& segment, Archive* archive = nullptr,
                       std::size_t history_events = 1024, std::uint32_t ready_workers = 1,
                       const Limits& limits = {});
  // Stops the pool, and its workers with what they have.
  ~SteppedPool() override;

  [[nodiscard]] Dispatcher& dispatcher() noexcept { return dispatcher_; }
  [[nodiscard]] TimePoint now() const noexcept { return now_; }
  // Fires what is due by then.
  void advance(std::chrono::milliseconds by);

  // A call of a session, which is made where there is none, or anonymous where it has no name; it
  // has arrived.
  SteppedCall& call(std::string_view session, CallKind kind = CallKind::kExecute,
                    std::chrono::milliseconds timeout = std::chrono::hours(1));
  // The same, of a call that its owner keeps and lets arrive.
  void prepare(SteppedCall& call, std::string_view session, CallKind kind = CallKind::kExecute,
               std::chrono::milliseconds timeout = std::chrono::hours(1));
  // Its worker answers the call with a delta that puts `value` to the field "value", after so long.
  void answer(const Call& call, std::int64_t value,
              std::chrono::nanoseconds service = std::chrono::nanoseconds(0),
              std::chrono::nanoseconds hydration = std::chrono::nanoseconds(0), bool keeps = true);
  // Its worker answers the call with this error.
  void fail(const Call& call, const Error& error);
  // Workers answer all that they were sent, also where nobody waits any more.
  void answer_all();
  // The worker dies, and another takes its place.
  void replace(std::uint32_t worker);
  // Something else than an answer to a request; false: it was not believed.
  [[nodiscard]] bool tell(std::uint64_t request_id, OutcomeStatus status);
  // An error; false: it was not believed.
  [[nodiscard]] bool fail(std::uint64_t request_id, Error error);
  // The requests of a worker that it has not answered, in the order in which they were sent.
  [[nodiscard]] std::vector<std::uint64_t> unanswered(std::uint32_t worker) const;
  // From here on a worker has begun the first so many requests that it was sent, and no others;
  // of `in_doubt` more it may say that they were recalled, although they count as begun.
  void let_begin(std::uint32_t worker, std::uint64_t requests, std::uint64_t in_doubt = 0) {
    begun_.at(worker) = requests;
    in_doubt_ = in_doubt;
  }
  // Of the language models that workers were told with requests, in their order: which worker, the
  // name, and how many it was to forget.
  struct ToldModel {
    std::uint32_t worker = 0;
    std::uint64_t id = 0;
    std::string name;
    std::size_t forgets = 0;
  };
  [[nodiscard]] const std::vector<ToldModel>& told_models() const noexcept { return told_models_; }
  // The id that the last request named.
  [[nodiscard]] std::uint64_t last_model() const noexcept { return last_model_; }
  // How often it was asked what a worker has begun.
  [[nodiscard]] std::uint32_t looks() const noexcept { return looks_; }
  // Workers that were to be killed.
  [[nodiscard]] const std::vector<std::uint32_t>& killed() const noexcept { return killed_; }
  // Calls whose turn to read fields has come.
  [[nodiscard]] const std::vector<Call*>& turns() const noexcept { return turns_; }
  // Chunks that were taken.
  [[nodiscard]] const std::vector<Chunk>& chunks() const noexcept { return chunks_; }
  // The call reads, and tells.
  void read(Call& call);

  [[nodiscard]] session::SessionTable& sessions() noexcept { return sessions_; }
  [[nodiscard]] const session::Tombstones& tombstones() const noexcept { return tombstones_; }
  [[nodiscard]] telemetry::Metrics& metrics() noexcept { return metrics_; }
  [[nodiscard]] session::SessionRef session(std::string_view id) const {
    return sessions_.find(id);
  }
  [[nodiscard]] History history() const { return history_.snapshot(); }

  Durability durability = Durability::kMemory;  // of sessions that are made
  std::chrono::milliseconds ttl{0};             // likewise

 private:
  struct Received {
    std::uint32_t worker = 0;
    std::uint64_t request_id = 0;
    std::uint32_t attempt = 0;
  };

  Sent send(std::uint32_t worker, const Request& request) override;
  void cancel(std::uint32_t, std::uint64_t) override {}
  std::uint64_t begun(std::uint32_t worker) override;
  std::uint64_t recall(std::uint32_t worker) override { return begun_.at(worker) + in_doubt_; }
  void kill(std::uint32_t worker, std::string_view) override { killed_.push_back(worker); }
  void ended(Call& call) override { ++static_cast<SteppedCall&>(call).times_ended; }
  void turn_came(Call& call) override { turns_.push_back(&call); }
  void chunk_came(Call&, Chunk chunk) override { chunks_.push_back(std::move(chunk)); }
  void hand_off_due() override { hand_off_is_due_ = true; }
  void room_due() override {}
  [[nodiscard]] bool tell(std::uint64_t request_id, Outcome& outcome);
  void answer(const Received& received, Outcome& outcome, std::int64_t value);
  void hand_off();

  const Value args_;
  const std::vector<std::string> names_;
  TimePoint now_{std::chrono::hours(1)};
  store::MemoryStore store_;
  session::SessionTable sessions_;
  session::Tombstones tombstones_;
  telemetry::Metrics metrics_;
  telemetry::EventHistory history_;
  std::deque<SteppedCall> calls_;
  std::deque<Received> received_;  // and not answered
  std::vector<std::uint64_t> begun_;
  std::uint64_t in_doubt_ = 0;
  std::uint32_t looks_ = 0;
  std::vector<std::uint32_t> killed_;
  std::vector<Call*> turns_;
  std::vector<ToldModel> told_models_;
  std::uint64_t last_model_ = 0;
  std::vector<Chunk> chunks_;
  bool hand_off_is_due_ = false;
  std::uint64_t epochs_ = 0;
  Dispatcher dispatcher_;
};

// Errands that wait until a test carries them out.
class SteppedArchive final : public Archive {
 public:
  explicit SteppedArchive(ipc::StateSegment& segment)
      : runner_(store_, *store_.own(), segment, log_) {}

  void start(std::unique_ptr<Errand> errand) override { errands_.push_back(std::move(errand)); }
  [[nodiscard]] std::size_t under_way() const noexcept { return errands_.size(); }
  // The oldest, on a store that is whole, and tells of it.
  void carry_out(SteppedPool& pool);
  void carry_out_all(SteppedPool& pool);
  [[nodiscard]] const test::FragileStore& store() const noexcept { return store_; }

 private:
  test::FragileStore store_;
  telemetry::Log log_{LogLevel::kOff};
  ErrandRunner runner_;
  std::deque<std::unique_ptr<Errand>> errands_;
};

}  // namespace dspool::dispatch
