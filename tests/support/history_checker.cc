#include "tests/support/history_checker.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <sstream>
#include <utility>

namespace dspool::test {
namespace {

struct Call {
  std::string session;
  std::size_t arrival = 0;  // index of the event
  bool ended = false;
  bool ended_ok = false;
  std::uint64_t committed = 0;  // the version it made; 0: none
};

struct Attempt {
  std::uint64_t call = 0;
  std::string session;
  std::uint64_t version = 0;  // that it must see
  bool running = false;
  std::string ended_as;
  bool ended_before_call = false;
};

struct Session {
  std::uint64_t version = 0;
  std::map<std::size_t, std::uint64_t> open_calls;  // by arrival
  std::uint64_t running = 0;                        // the request that runs; 0: none
};

class Checker {
 public:
  std::vector<std::string> check(const History& history, HistoryEnd end) {
    if (history.dropped != 0) {
      violations_.push_back("the history lost its first " + std::to_string(history.dropped) +
                            " events: raise history_events");
      return std::move(violations_);
    }
    for (const Event& event : history.events) {
      event_ = &event;
      look_at(event);
      ++index_;
    }
    event_ = nullptr;
    if (end == HistoryEnd::kQuiescent) look_for_loose_ends();
    return std::move(violations_);
  }

 private:
  void look_at(const Event& event) {
    switch (event.kind) {
      case EventKind::kCallArrived:
        return call_arrived(event);
      case EventKind::kCallEnded:
        return call_ended(event);
      case EventKind::kAttemptSent:
        return attempt_sent(event);
      case EventKind::kAttemptEnded:
        return attempt_ended(event);
      case EventKind::kCommit:
        return commit(event);
      case EventKind::kSessionEnded:
        return session_ended(event);
      case EventKind::kFenced:
        return fenced(event);
      case EventKind::kSessionLoaded:
        return session_loaded(event);
      case EventKind::kMigrated:
      case EventKind::kWorkerReady:
      case EventKind::kWorkerLost:
        return;
    }
  }

  void call_arrived(const Event& event) {
    const auto [call, is_new] = calls_.try_emplace(event.call);
    if (!is_new) return violated("the call arrived a second time");
    call->second.session = event.session;
    call->second.arrival = index_;
    session_of(event).open_calls.emplace(index_, event.call);
  }

  void call_ended(const Event& event) {
    Call* call = find_call(event);
    if (call == nullptr) return;
    if (call->ended) return violated("the call ended a second time");
    call->ended = true;
    call->ended_ok = event.detail == "ok";
    session_of(event).open_calls.erase(call->arrival);
    if (event.detail == "ok" && call->committed != 0 && event.version != call->committed) {
      violated("the call was answered at version ", event.version, " but committed version ",
               call->committed);
    }
  }

  void attempt_sent(const Event& event) {
    const Call* call = find_call(event);
    if (call == nullptr) return;
    if (call->ended) violated("an attempt was sent for a call that had ended");

    Attempt& attempt = attempts_[event.request];
    if (attempt.running) {
      violated("the attempt was sent a second time");
    } else if (!attempt.ended_as.empty() && attempt.ended_as != "need_state") {
      violated("the attempt was sent again after it ended with \"", attempt.ended_as, "\"");
    }
    attempt = {.call = event.call,
               .session = event.session,
               .version = event.version,
               .running = true,
               .ended_as = {},
               .ended_before_call = false};

    Session& session = session_of(event);
    if (session.running != 0 && session.running != event.request) {
      violated("the attempt overlaps attempt ", session.running, " of the session");
    }
    session.running = event.request;
    if (!session.open_calls.empty() && session.open_calls.begin()->first < call->arrival) {
      violated("the attempt was sent ahead of call ", session.open_calls.begin()->second,
               ", which arrived before and had not ended");
    }
    if (event.version != session.version) {
      violated("the attempt was sent for version ", event.version, " of a session at version ",
               session.version);
    }
  }

  void attempt_ended(const Event& event) {
    const auto found = attempts_.find(event.request);
    if (found == attempts_.end()) return violated("an attempt ended that was never sent");
    Attempt& attempt = found->second;
    if (!attempt.running) return violated("the attempt ended a second time");
    attempt.running = false;
    attempt.ended_as = event.detail;
    attempt.ended_before_call = !calls_[attempt.call].ended;
    Session& session = session_of(event);
    if (session.running == event.request) session.running = 0;
  }

  void fenced(const Event& event) {
    const auto found = attempts_.find(event.request);
    if (found == attempts_.end() || !found->second.running) {
      return violated("an answer was thrown away of an attempt that did not run");
    }
    if (!calls_[found->second.call].ended) {
      violated("an answer was thrown away although its call had not ended");
    }
  }

  void commit(const Event& event) {
    Session& session = session_of(event);
    const bool follows = event.version == session.version + 1;
    if (!follows) {
      violated("version ", event.version, " was committed on version ", session.version);
    }
    session.version = event.version;

    Call* call = find_call(event);
    if (call == nullptr) return;
    const auto by = attempts_.find(event.request);
    const bool was_written = by != attempts_.end() && by->second.ended_before_call;
    if (call->ended && (call->ended_ok || (event.request != 0 && !was_written))) {
      violated("the call committed after it had ended");
    }
    if (call->committed != 0) {
      violated("the call committed a second time, after version ", call->committed);
    }
    call->committed = event.version;

    if (event.request == 0) return;  // the engine's own
    const auto found = attempts_.find(event.request);
    if (found == attempts_.end()) return violated("a commit came from an attempt never sent");
    const Attempt& attempt = found->second;
    if (attempt.call != event.call) {
      violated("a commit came from an attempt of call ", attempt.call);
    }
    if (attempt.session != event.session) {
      violated("a commit came from an attempt of session \"", attempt.session, "\"");
    }
    if (follows && attempt.version + 1 != event.version) {
      violated("version ", event.version, " came from an attempt sent for version ",
               attempt.version);
    }
    if (!attempt.running && attempt.ended_as != "ok") {
      violated("a commit came from an attempt that ended with \"", attempt.ended_as, "\"");
    }
  }

  void session_loaded(const Event& event) {
    Session& session = session_of(event);
    if (session.version != 0 && session.version != event.version) {
      violated("the session came back with version ", event.version, " but had ", session.version);
    }
    session.version = event.version;
  }

  void session_ended(const Event& event) {
    Session& session = session_of(event);
    if (session.running != 0) {
      violated("the session ended while attempt ", session.running, " of it was running");
    }
    session.version = 0;
  }

  void look_for_loose_ends() {
    for (const auto& [id, call] : calls_) {
      if (!call.ended) violated("call ", id, " of session \"", call.session, "\" never ended");
    }
    for (const auto& [id, attempt] : attempts_) {
      if (attempt.running) {
        violated("attempt ", id, " of session \"", attempt.session, "\" never ended");
      }
    }
  }

  Call* find_call(const Event& event) {
    const auto found = calls_.find(event.call);
    if (found == calls_.end()) {
      violated("the call never arrived");
      return nullptr;
    }
    if (found->second.session != event.session) {
      violated("the call arrived for session \"", found->second.session, "\"");
    }
    return &found->second;
  }

  Session& session_of(const Event& event) {
    const std::uint64_t anonymous_call = event.session.empty() ? event.call : 0;
    return sessions_[{event.session, anonymous_call}];
  }

  template <typename... Parts>
  void violated(const Parts&... parts) {
    std::ostringstream sentence;
    if (event_ != nullptr) {
      sentence << "event " << index_ << " (session \"" << event_->session << "\", call "
               << event_->call << ", request " << event_->request << "): ";
    }
    (sentence << ... << parts);
    violations_.push_back(std::move(sentence).str());
  }

  const Event* event_ = nullptr;
  std::size_t index_ = 0;
  std::map<std::uint64_t, Call> calls_;
  std::map<std::uint64_t, Attempt> attempts_;
  std::map<std::pair<std::string, std::uint64_t>, Session> sessions_;
  std::vector<std::string> violations_;
};

}  // namespace

std::vector<std::string> check_history(const History& history, HistoryEnd end) {
  return Checker().check(history, end);
}

}  // namespace dspool::test
