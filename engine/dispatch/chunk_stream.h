// The chunks of one submitted call, on their way to whoever listens.
//
// Steps put chunks in; a turn, on the reactor or an executor, hands them out. There is one turn at
// a time, asked for when there is something to do and none is under way. The completion belongs to
// the turn that finds that the call has ended, so that it comes last.
//
// Threads: steps are serialised by the gate's lock, within which this one's is taken; a turn takes
// neither while a handler runs.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "dspool/call.h"
#include "engine/dispatch/stream_port.h"
#include "ipc/chunk_window.h"

namespace dspool::dispatch {

class ChunkStream {
 public:
  using Executor = std::function<void(std::function<void()>)>;

  // `executor` empty: the reactor.
  ChunkStream(ChunkHandler handler, std::shared_ptr<StreamPort> port, Executor executor)
      : handler_(std::move(handler)),
        port_(std::move(port)),
        executor_(std::make_shared<const Executor>(std::move(executor))) {}

  // ---- within steps ----
  // The dispatcher's, for Call::window.
  [[nodiscard]] ipc::ChunkWindow& window() noexcept { return window_; }
  struct Arrived {
    Chunk chunk;
    std::uint32_t worker = 0;
    std::uint64_t request_id = 0;
  };
  // Both: true where a turn is to be taken. What waits of other attempts than the one that pushes
  // or has answered is dropped; 0: none has.
  [[nodiscard]] bool push(Arrived arrived);
  [[nodiscard]] bool end(std::uint32_t answered_by);

  // ---- a turn ----
  enum class Next : std::uint8_t {
    kRest,   // another turn will be asked for; the stream may be gone by now
    kAgain,  // there is more to hand out
    kEnd,    // the completion is due
  };
  // Hands some chunks out. `public_id`: the call's.
  [[nodiscard]] Next take_turn(std::uint64_t public_id);

  [[nodiscard]] std::shared_ptr<const Executor> executor() const noexcept { return executor_; }
  [[nodiscard]] StreamPort& port() const noexcept { return *port_; }

 private:
  [[nodiscard]] std::optional<Arrived> take();
  [[nodiscard]] std::optional<std::string> hand_out(Chunk chunk);

  const ChunkHandler handler_;
  const std::shared_ptr<StreamPort> port_;
  const std::shared_ptr<const Executor> executor_;
  ipc::ChunkWindow window_;

  std::mutex mutex_;  // guards what follows
  std::deque<Arrived> waiting_;
  bool in_turn_ = false;
  bool ended_ = false;
  bool deaf_ = false;  // the handler has thrown
};

}  // namespace dspool::dispatch
