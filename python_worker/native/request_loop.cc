#include "python_worker/native/request_loop.h"

#include <utility>

#include "python_worker/native/gil.h"
#include "schemas/envelope_generated.h"

namespace dspool::python {

RequestLoop::RequestLoop(ipc::WorkerChannel& channel, pybind11::object host,
                         pybind11::object session_type, const pybind11::dict& commands,
                         const Hello& hello)
    : worker_{
          .channel = channel,
          .host = std::move(host),
          .session_type = std::move(session_type),
          .cancelled_error = pybind11::module_::import("dspool_worker.call").attr("CancelledError"),
          .commands = CommandTable(commands),
          .sessions = SessionCache(hello.session_cache, hello.session_cache_bytes),
          .max_payload_bytes = hello.max_payload_bytes} {}

bool RequestLoop::serve() {
  CommandRunner runner(worker_);
  while (true) {
    std::unique_lock receiving(receiving_, std::defer_lock);
    const std::optional<ipc::Record> record = next_record(receiving);
    if (!record) return end_ == End::kDrained;
    if (!handle(*record, runner, receiving)) return false;
  }
}

std::optional<ipc::Record> RequestLoop::next_record(std::unique_lock<std::mutex>& receiving) {
  std::optional<ipc::Record> record;
  if (receiving.try_lock() && end_ == End::kNotYet && (record = worker_.channel.try_receive())) {
    return record;
  }
  const GilRelease no_gil;
  if (!receiving.owns_lock()) receiving.lock();
  while (end_ == End::kNotYet && !(record = worker_.channel.try_receive())) {
    if (!worker_.channel.wait()) end_ = End::kEngineGone;
  }
  return record;
}

// False: the engine is gone.
bool RequestLoop::handle(const ipc::Record& record, CommandRunner& runner,
                         std::unique_lock<std::mutex>& receiving) {
  const auto type = static_cast<wire::MessageType>(record.header.type);
  const std::uint64_t request_id = record.header.request_id;
  if (type == wire::MessageType::request) runner.prepare(record);
  if (type == wire::MessageType::drain) end_ = End::kDrained;
  worker_.channel.release();
  receiving.unlock();
  if (type == wire::MessageType::request) return runner.run();
  if (type == wire::MessageType::ping) return runner.pong(request_id);
  return true;  // drain: next_record ends
}

}  // namespace dspool::python
