// The gate towards callers who listen to chunks: what comes is handed to the call's stream, and
// what they have consumed is told to the worker.
#include <utility>

#include "engine/dispatch/gate.h"

namespace dspool::dispatch {

std::unique_ptr<ChunkStream> Gate::open_stream(ChunkHandler handler, const Executor& executor) {
  return std::make_unique<ChunkStream>(std::move(handler), port_, executor ? executor : executor_);
}

void Gate::chunk_came(Call& call, Chunk chunk) {
  auto& submitted = static_cast<SubmittedCall&>(call);
  if (submitted.stream->push(
          {.chunk = std::move(chunk), .worker = call.worker, .request_id = call.request_id})) {
    tell_later(call);
  }
}

void Gate::consumed(std::uint32_t worker, std::uint64_t request_id, std::uint64_t chunks) {
  const std::lock_guard lock(mutex_);
  if (!dispatcher_.chunks_consumed(worker, request_id, chunks)) return;
  links_[worker]->channel().tell_consumed(place_of(request_id), chunks);
}

// Has a call's chunks and its completion run, where they are to.
void Gate::post_turn(SubmittedCall& call) {
  const auto executor = call.stream->executor();  // which may outlive the call
  if (*executor) {
    (*executor)([&call] { take_turn(call); });
  } else {
    call.stream->port().post(call);
  }
}

// Uses no gate, which may be gone.
void Gate::take_turn(SubmittedCall& call) {
  switch (call.stream->take_turn(call.public_id)) {
    case ChunkStream::Next::kRest:
      return;
    case ChunkStream::Next::kAgain:
      return post_turn(call);
    case ChunkStream::Next::kEnd:
      call.completion(std::move(*call.result));
      delete &call;
  }
}

}  // namespace dspool::dispatch
