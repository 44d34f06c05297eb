// The engine's own dispatcher under simulated time, in one thread: workers, channels, store, clock
// and callers are simulated, the state machine is the real one. A seed decides everything.
//
// Each simulated worker behaves as the Python worker does: it runs what lies in its ring one after
// the other, keeps (version, state_id) of the sessions it served in a bounded cache, asks for the
// state where it lacks it, skips what was taken back, and answers `increment` with the session's
// value + 1 as a delta.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "dspool/history.h"
#include "engine/dispatch/dispatcher.h"
#include "ipc/state_segment.h"
#include "tests/sim/answer_checker.h"
#include "tests/sim/flaky_store.h"
#include "tests/sim/simulated_archive.h"
#include "tests/sim/simulated_call.h"
#include "tests/sim/simulated_fleet.h"
#include "tests/support/fragile_store.h"

namespace dspool::sim {

using dispatch::Call;
using dispatch::TimePoint;
using std::chrono::nanoseconds;

struct Options {
  std::uint64_t seed = 0;
  std::uint32_t workers = 3;
  std::uint32_t sessions = 20;
  std::uint32_t calls = 400;
  std::uint32_t pipeline = 8;
  std::uint32_t max_in_flight = 1;
  Affinity affinity = Affinity::kHint;
  std::uint32_t rush = 1;  // calls come so many times as often
  double zipf = 0.6;       // exponent of the sessions' popularity; not 1
  std::chrono::milliseconds ttl{0};
  double deaths = 1;      // workers die and hang so many times as often
  double poison = 0;      // this part of the commands ends the worker that runs it
  bool durable = false;   // there is a durable store, and half of the sessions are `local`
  bool restless = false;  // the fleet changes all the time, and sessions are moved
  bool jitter = true;     // of the pauses before retries
  bool breaks = false;    // circuit breakers are on, and a command asks a language model
};

class Simulation final : private dispatch::Transport,
                         private dispatch::CallListener,
                         private dispatch::Archive,
                         private SimulatedProcesses {
 public:
  explicit Simulation(const Options& options);
  ~Simulation() override;

  // Runs until every call has ended and every worker is idle. What was wrong, in words; a good run
  // returns nothing.
  std::vector<std::string> run();

  // What happened, to see that a run did what it is meant to do.
  struct Counts {
    std::uint64_t ok = 0, errors = 0, deaths = 0, need_state = 0, full = 0, cancelled = 0,
                  again = 0, skipped = 0, expired = 0, unknown = 0, evicted = 0, loaded = 0,
                  read = 0, retried = 0, warm = 0, stolen = 0, shed = 0, recalled = 0, in_doubt = 0,
                  moved = 0, left = 0, repeated = 0, over_budget = 0, broken = 0, killed = 0,
                  quarantined_calls = 0, quarantined_sessions = 0,
                  overtaken = 0;  // the oldest one, at most
  };
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

 private:
  // What a worker received; the request's views are copied.
  struct Received {
    std::uint64_t request_id = 0;
    std::uint64_t order = 0;  // the how manyeth that the worker received
    std::uint32_t attempt = 0;
    std::string session;
    std::string command;
    std::uint64_t version = 0;
    std::uint64_t state_id = 0;
    bool hydrated = false;
    std::uint64_t value = 0;  // when hydrated
    TimePoint deadline;
  };
  struct Cached {
    std::uint64_t version = 0;
    std::uint64_t state_id = 0;
    std::uint64_t value = 0;
  };
  struct Worker {
    std::uint64_t epoch = 0;  // 0: dead
    std::deque<Received> ring{};
    std::uint64_t received = 0;
    std::uint64_t claimed = 0;   // of these
    std::uint64_t recalled = 0;  // these are skipped if they were not claimed before
    std::uint32_t running = 0;
    std::map<std::string, Cached> cache{};
    std::set<std::uint64_t> asking{};  // attempts whose session's state it has asked for
    bool is_told_to_end = false;
  };
  struct Place {
    bool wanted = false;
    std::uint64_t starts = 0;
  };
  // Who waits for longest, and how many turns have gone to others meanwhile.
  struct Overtaken {
    std::uint64_t call = 0;
    std::uint32_t times = 0;
    std::uint32_t limit = 0;
  };
  struct Event {
    TimePoint at;
    std::uint64_t sequence;
    std::function<void()> act;
    bool operator<(const Event& other) const {
      return std::tie(other.at, other.sequence) < std::tie(at, sequence);
    }
  };

  dispatch::Sent send(std::uint32_t worker, const dispatch::Request& request) override;
  void cancel(std::uint32_t worker, std::uint64_t request_id) override;
  std::uint64_t begun(std::uint32_t worker) override;
  std::uint64_t recall(std::uint32_t worker) override;
  void kill(std::uint32_t worker, std::string_view why) override;
  void ended(Call& call) override;
  void turn_came(Call& call) override;
  void chunk_came(Call& /*call*/, Chunk /*chunk*/) override {}  // nobody listens
  void hand_off_due() override;
  void room_due() override;
  void fleet_due() override { fleet_.due(); }
  void start(std::unique_ptr<dispatch::Errand> errand) override;
  void after(nanoseconds delay, std::function<void()> act) override;
  [[nodiscard]] TimePoint now() const override { return now_; }
  void start_in(std::uint32_t place) override;
  void retire(std::uint32_t place, bool was_told) override;

  [[nodiscard]] double chance();
  [[nodiscard]] nanoseconds some_time(nanoseconds mean);
  void start_soon(std::uint32_t place, nanoseconds mean);
  void make_ready(std::uint32_t worker);
  void die_by_chance(std::uint32_t worker);
  void die(std::uint32_t worker);
  void end_if_done(std::uint32_t worker);
  void bury(std::uint32_t worker, std::string_view how);
  void change_fleet();
  void begin_next(std::uint32_t worker);
  void skip(std::uint32_t worker, const Received& received, dispatch::OutcomeStatus status);
  void finish(std::uint32_t worker, std::uint64_t epoch, const Received& received);
  void arrive_somebody();
  [[nodiscard]] std::uint32_t some_session();
  [[nodiscard]] Durability durability_of(std::uint32_t session) const;
  [[nodiscard]] session::SessionRef make_session(std::uint32_t number) const;
  void maybe_cancel(SimulatedCall& call);
  void fire_timers();
  void let_all_expire();
  void stop();
  void answer(std::uint32_t worker, std::uint64_t request_id, dispatch::Outcome& outcome);
  [[nodiscard]] bool all_are_idle() const;
  void note_turn();
  void check_recalls(std::vector<std::string>& wrong) const;
  void check_pauses(std::vector<std::string>& wrong) const;
  void check_budget(std::vector<std::string>& wrong) const;
  void check_quarantine(std::vector<std::string>& wrong) const;
  [[nodiscard]] Expiries find_expiries(std::vector<std::string>& wrong);
  [[nodiscard]] std::vector<std::string> verdict();

  Options options_;
  std::minstd_rand random_;
  TimePoint now_{std::chrono::hours(1)};
  telemetry::Metrics metrics_;
  telemetry::EventHistory history_{std::size_t{1} << 20};
  ipc::StateSegment segment_{std::size_t{256} << 20};
  session::SessionTable sessions_;
  session::Tombstones tombstones_;
  FlakyStore store_;
  test::FragileStore durable_;
  SimulatedArchive archive_;
  std::vector<std::string> names_;
  dispatch::Dispatcher dispatcher_;
  SimulatedFleet fleet_;
  std::vector<Worker> workers_;
  std::vector<Place> places_;
  std::uint64_t epochs_ = 0;
  std::priority_queue<Event> events_;
  std::uint64_t event_count_ = 0;
  std::vector<std::unique_ptr<SimulatedCall>> calls_;
  std::uint32_t unfinished_ = 0;
  // For each session, when it was found to have expired while the durable store still had it.
  std::map<std::string, std::deque<TimePoint>> expiring_;
  std::set<std::uint64_t> executed_;  // attempts
  std::set<std::uint64_t> killers_;   // of these, such that ended their worker
  Overtaken oldest_;
  std::vector<std::string> problems_;
  Counts counts_;
};

}  // namespace dspool::sim
