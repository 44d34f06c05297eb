// One call as its command sees it beside its session (dspool_worker/call.py): what it is named,
// whether anybody still waits for it, and the way of its chunks to the caller.
//
// Threads: the GIL, which `emit` gives up while it waits. A command's own threads may emit, too:
// one chunk at a time, and none after the command has ended.
#pragma once

#include <flatbuffers/flatbuffers.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <utility>

#include "ipc/chunk_window.h"
#include "ipc/worker_channel.h"
#include "python_worker/native/value_encoder.h"

namespace dspool::python {

struct TokenUsage {
  std::uint64_t input_tokens = 0;
  std::uint64_t output_tokens = 0;
};

struct CallTerms {
  std::uint64_t request_id = 0;
  std::uint32_t attempt = 1;
  std::uint32_t place = 0;  // ipc/attention.h
  bool streams = false;
  std::uint64_t deadline_ns = 0;  // CLOCK_MONOTONIC; 0: none
};

class LiveCall {
 public:
  // `channel` is used while a command runs. `max_bytes`: of a chunk. `cancelled_error`: the type
  // CancelledError.
  LiveCall(ipc::WorkerChannel& channel, std::uint64_t max_bytes, pybind11::object cancelled_error)
      : channel_(channel), max_bytes_(max_bytes), cancelled_error_(std::move(cancelled_error)) {}

  // A command begins and ends. REQUIRES: they take turns.
  void begin(const CallTerms& terms) noexcept;
  void end() noexcept;

  [[nodiscard]] const CallTerms& terms() const noexcept { return terms_; }
  [[nodiscard]] const TokenUsage& usage() const noexcept { return usage_; }
  // Whether nobody waits for the answer any more.
  [[nodiscard]] bool is_cancelled() const noexcept;
  // Of the call's session, or else the pool's; None: none is set.
  [[nodiscard]] const pybind11::object& language_model() const noexcept { return language_model_; }
  void set_language_model(pybind11::object model) noexcept { language_model_ = std::move(model); }

  // Sends a chunk, and waits for room. false: a Python error is set.
  [[nodiscard]] bool emit(PyObject* chunk);
  void add_usage(const TokenUsage& more) noexcept;

 private:
  [[nodiscard]] bool check() const;
  [[nodiscard]] bool wait_for_others() const;
  [[nodiscard]] bool encode(PyObject* chunk);
  [[nodiscard]] bool send();

  ipc::WorkerChannel& channel_;
  const std::uint64_t max_bytes_;
  const pybind11::object cancelled_error_;
  CallTerms terms_;
  TokenUsage usage_;
  pybind11::object language_model_ = pybind11::none();
  bool runs_ = false;      // its command
  bool emitting_ = false;  // a thread is in `emit`
  ipc::ChunkWindow window_;
  ValueEncoder encoder_;
  flatbuffers::FlatBufferBuilder builder_{4096};
};

}  // namespace dspool::python
