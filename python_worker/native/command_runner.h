// One request's life inside a worker: prepare (while its record still lies in the ring), run,
// answer.
//
// Invariants
//   C1  Between requests a cached session holds exactly what its version names. A command that
//       failed, or whose changes could not be sent, is rolled back.
//   C2  Before anything is answered, nothing of the session lies in shared memory any more.
//
// Threads: one runner per thread, all under the GIL.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "ipc/worker_channel.h"
#include "python_worker/native/call_type.h"
#include "python_worker/native/command_table.h"
#include "python_worker/native/error_report.h"
#include "python_worker/native/language_models.h"
#include "python_worker/native/long_value.h"
#include "python_worker/native/response_writer.h"
#include "python_worker/native/session_cache.h"
#include "python_worker/native/session_delta.h"
#include "python_worker/native/session_state.h"
#include "python_worker/native/state_reader.h"
#include "python_worker/native/value_encoder.h"
#include "python_worker/native/views.h"
#include "schemas/envelope_generated.h"

namespace dspool::python {

// What the runners of one worker share.
struct Worker {
  ipc::WorkerChannel& channel;
  pybind11::object host;             // dspool_worker.host.AdapterHost
  pybind11::object session_type;     // dspool_worker.Session, derived from SessionState
  pybind11::object cancelled_error;  // dspool_worker.CancelledError
  CommandTable commands;
  SessionCache sessions;
  std::uint64_t max_payload_bytes;
  ControlInbox inbox{channel};
  LanguageModels language_models{inbox, host};
  StateReader state_reader{inbox};  // used by whoever prepares, one at a time
  std::shared_ptr<ValueDecoder> decoder = std::make_shared<ValueDecoder>();
};

class CommandRunner {
 public:
  explicit CommandRunner(Worker& worker)
      : worker_(worker), writer_(worker.channel, worker.max_payload_bytes), call_(make_call()) {}

  // Claims the request and takes from its record all that `run` needs.
  void prepare(const ipc::Record& record);
  // Executes and answers what was prepared last. False: the engine is gone.
  [[nodiscard]] bool run();
  // Answers a ping. False: the engine is gone.
  [[nodiscard]] bool pong(std::uint64_t request_id);

 private:
  using Fields = ipc::Result<std::unique_ptr<UnreadFields>>;
  [[nodiscard]] Fields read_state(const wire::Request& request);
  bool take_session(const wire::Request& request, std::optional<Fields> fields);
  void decode_arguments(const wire::Request& request, const LongValue& long_args, Command& command);
  pybind11::object make_session(std::string_view id) const;
  void refuse_arguments();

  pybind11::object make_call() const;
  void begin_call(SessionState& state, const HeldModel& model) const;
  void end_call(SessionState& state);
  bool adopt();
  bool answer(pybind11::object result, std::uint64_t service_ns);
  bool fail(const ErrorReport& report, std::uint64_t service_ns);
  bool give_up(std::uint64_t service_ns);
  ErrorReport describe_exception() const;

  [[nodiscard]] const pybind11::object& session() const noexcept;
  [[nodiscard]] bool session_is_touched() const noexcept;
  [[nodiscard]] bool can_keep_session(std::size_t added_bytes);
  void keep_session(SessionVersion version);
  void restore_session();
  void reset_anonymous();

  Worker& worker_;
  ResponseWriter writer_;
  ValueEncoder encoder_;
  ValueEncoder field_encoder_;
  SessionDelta delta_;
  Arguments arguments_;
  Views views_;
  pybind11::object anonymous_;  // the session of anonymous calls, emptied after each
  pybind11::object call_;       // what the command at hand runs for

  // Of the request at hand.
  Ticket ticket_;
  CallTerms terms_;
  SessionVersion version_;
  std::uint64_t lm_version_ = 0;
  std::uint64_t hydration_start_ns_ = 0;  // 0: it came without fields
  const Command* command_ = nullptr;
  SessionCache::Lease lease_;  // none in an anonymous call
  bool recalled_ = false;
  bool ended_ = false;   // its call has
  bool adopts_ = false;  // its session is brought here, and nothing is run
  bool need_state_ = false;
  std::optional<ErrorReport> refusal_;  // answered instead of running the command
};

}  // namespace dspool::python
