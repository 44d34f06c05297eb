// A real worker process and, here, the engine's end of its channel: requests go out, and what comes
// back is verified as strictly as the engine does.
#pragma once

#include <flatbuffers/flexbuffers.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipc/child_process.h"
#include "ipc/engine_channel.h"
#include "schemas/envelope_generated.h"
#include "tests/python_worker/handed_state.h"

namespace dspool::python {

// Fills a map; what a request's arguments and a session's fields are made of.
using Fill = std::function<void(flexbuffers::Builder&)>;
std::vector<std::uint8_t> flex_map(const Fill& fill = [](flexbuffers::Builder&) {});
std::vector<std::uint8_t> flex_value(const Fill& add);
std::vector<std::uint8_t> uint_args(const char* name, std::uint64_t value);

// Now, on the clock of deadlines.
std::uint64_t monotonic_ns();

struct Call {
  std::string command{};
  std::vector<std::uint8_t> args = flex_map();
  std::string session{};
  std::uint64_t version = 0;
  std::uint64_t state_id = 0;
  std::optional<Fields> state{};
  std::uint64_t deadline_ns = 0;
  std::uint64_t lm_version = 0;
  std::uint32_t attempt = 1;
  bool recalled = false;  // taken back before the worker can see it
  std::uint32_t place = 0;
  bool streams = false;
};

// One record from the worker, verified.
struct Reply {
  wire::MessageType type{};
  std::uint64_t request_id = 0;
  std::vector<std::uint8_t> body;

  [[nodiscard]] const wire::Response& response() const;
  [[nodiscard]] const wire::Chunk& chunk() const;
  [[nodiscard]] std::string chunk_json() const;
  [[nodiscard]] const wire::ErrorReport& error() const;  // of a Response or a Failure
  [[nodiscard]] flexbuffers::Reference result() const;
  [[nodiscard]] std::string result_json() const;
  // "put key=json", "delete key" and "append key=json", comma separated; "" without a delta.
  [[nodiscard]] std::string delta_text() const;
};

struct WorkerOptions {
  std::string adapter = "worker_adapters:Commands";
  std::uint32_t max_in_flight = 1;
  std::uint32_t session_cache = 16;
  std::uint64_t session_cache_bytes = 0;
  std::size_t ring_bytes = std::size_t{1} << 20;
  wire::Protocol protocol = wire::Protocol::current;
};

class WorkerHarness {
 public:
  // Spawns the worker, says hello and takes its first record, which `first()` keeps.
  explicit WorkerHarness(const WorkerOptions& options = {});
  ~WorkerHarness();

  [[nodiscard]] const Reply& first() const noexcept { return first_; }

  // Sends without waiting; returns the request's id. What the worker needs to read the state goes
  // before the request, or after it when `late`.
  std::uint64_t send(const Call& call, bool late = false);
  void send(wire::MessageType type, std::uint64_t request_id = 0);
  void send_language_model(std::uint64_t version, const std::string& model,
                           const std::string& api_key,
                           const std::vector<std::uint64_t>& forget = {});
  // The next record. Throws when the worker ends or is silent for a minute.
  Reply receive();
  Reply call(const Call& call);

  // Tells the worker that nobody waits any more for the request in this place, or how many of its
  // chunks were consumed.
  void tell_cancelled(std::uint32_t place) { channel_->tell_cancelled(place); }
  void tell_consumed(std::uint32_t place, std::uint64_t chunks) {
    channel_->tell_consumed(place, chunks);
  }

  // Where the fields of calls are; the worker gets it with the first that brings some.
  [[nodiscard]] HandedState& state() noexcept { return state_; }

  [[nodiscard]] ipc::ChildProcess& process() noexcept { return *process_; }
  // Gives up the engine's end, as a killed engine does.
  void abandon_channel() { channel_.reset(); }
  ipc::ExitStatus wait_for_end();
  // What the worker has written so far, up to the end of a line that contains `needle`.
  std::string read_output(int descriptor, const std::string& needle);

  static constexpr std::uint64_t kEpoch = 41;

 private:
  void send_bytes(wire::MessageType type, std::uint64_t request_id,
                  std::span<const std::uint8_t> bytes, bool recalled = false);
  void hand_over();

  std::unique_ptr<ipc::EngineChannel> channel_;
  std::unique_ptr<ipc::ChildProcess> process_;
  HandedState state_{/*extent=*/3};
  std::uint64_t next_request_id_ = 1000;
  Reply first_;
};

}  // namespace dspool::python
