// A worker without Python that serves one command, whatever its name: it counts a session's calls.
// The answer is "<session>=<count>", so that one that came to the wrong call shows, and the count
// is a field of the session, so that one that was lost or done twice shows.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ipc/state_segment_view.h"
#include "ipc/worker_channel.h"
#include "schemas/envelope_generated.h"

namespace dspool::chaos {

// A request, out of the ring.
struct Pending {
  std::uint64_t id = 0;
  std::vector<std::uint8_t> body;
  [[nodiscard]] const wire::Request& request() const {
    return *flatbuffers::GetRoot<wire::Request>(body.data());
  }
};

class CountingWorker {
 public:
  explicit CountingWorker(ipc::WorkerChannel& channel) : channel_(channel) {}

  // Waits for the hello and answers it; the name that the worker is given, or nothing: the engine
  // is gone.
  std::optional<std::string> start();
  // The next request, pings answered meanwhile; nothing: the engine is gone, or drains the worker.
  std::optional<Pending> next_request();
  void answer(const Pending& pending);

  // A chunk ahead of its answer.
  void emit(const Pending& pending, std::uint32_t attempt, std::uint64_t index, std::size_t bytes);

  // What `answer` sends; its state is as after it.
  flatbuffers::FlatBufferBuilder& build_answer(const Pending& pending);
  // One record; published.
  void send(wire::MessageType type, std::uint64_t id, const void* body, std::size_t bytes);
  void send(wire::MessageType type, std::uint64_t id, flatbuffers::FlatBufferBuilder& builder) {
    send(type, id, builder.GetBufferPointer(), builder.GetSize());
  }
  // A record whose body is said to be in the descriptor; published.
  void hand_over(std::uint64_t id, int descriptor, std::uint64_t bytes);
  void send_ready();
  [[nodiscard]] std::uint64_t epoch() const { return channel_.epoch(); }

 private:
  struct Known {
    std::uint64_t version = 0;
    std::uint64_t state_id = 0;
    std::int64_t count = 0;
  };
  std::optional<std::int64_t> count_before(const wire::Request& request);
  void take_extents(std::uint32_t needed);

  ipc::WorkerChannel& channel_;
  ipc::StateSegmentView states_;
  std::unordered_map<std::string, Known> known_;  // what it made itself
  flatbuffers::FlatBufferBuilder builder_;
};

}  // namespace dspool::chaos
