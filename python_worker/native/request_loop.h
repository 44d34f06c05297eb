// The worker's loop: takes records from the request ring and has them executed, on as many threads
// as call `serve`.
//
// Threads: whoever holds `receiving_` reads the ring, and has the record prepared before the next
// thread may read. Lock order: `receiving_`, then the GIL; a thread that holds the GIL only tries
// the mutex. The GIL is given up only when the ring is empty at first look.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <mutex>
#include <optional>

#include "ipc/worker_channel.h"
#include "python_worker/native/command_runner.h"
#include "python_worker/native/startup.h"

namespace dspool::python {

class RequestLoop {
 public:
  RequestLoop(ipc::WorkerChannel& channel, pybind11::object host, pybind11::object session_type,
              const pybind11::dict& commands, const Hello& hello);

  // Executes requests until the engine says drain (true) or is gone (false). Called with the GIL.
  bool serve();

 private:
  enum class End { kNotYet, kDrained, kEngineGone };

  std::optional<ipc::Record> next_record(std::unique_lock<std::mutex>& receiving);
  bool handle(const ipc::Record& record, CommandRunner& runner,
              std::unique_lock<std::mutex>& receiving);

  Worker worker_;
  std::mutex receiving_;
  End end_ = End::kNotYet;  // guarded by receiving_
};

}  // namespace dspool::python
