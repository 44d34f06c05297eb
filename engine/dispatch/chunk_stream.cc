#include "engine/dispatch/chunk_stream.h"

#include <exception>

namespace dspool::dispatch {
namespace {

// So that one call's chunks do not keep the reactor from all others'.
constexpr int kChunksPerTurn = 8;

}  // namespace

bool ChunkStream::push(Arrived arrived) {
  const std::lock_guard lock(mutex_);
  if (deaf_) return false;
  if (!waiting_.empty() && waiting_.back().chunk.attempt != arrived.chunk.attempt) waiting_.clear();
  waiting_.push_back(std::move(arrived));
  return !std::exchange(in_turn_, true);
}

bool ChunkStream::end(std::uint32_t answered_by) {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  std::erase_if(waiting_, [answered_by](const Arrived& arrived) {
    return arrived.chunk.attempt != answered_by;
  });
  return !std::exchange(in_turn_, true);
}

ChunkStream::Next ChunkStream::take_turn(std::uint64_t public_id) {
  for (int i = 0; i < kChunksPerTurn; ++i) {
    std::optional<Arrived> next = take();
    if (!next) break;
    const std::uint64_t consumed = next->chunk.index + 1;
    if (auto thrown = hand_out(std::move(next->chunk))) {
      port_->cancel(public_id, *std::move(thrown));
    } else {
      port_->consumed(next->worker, next->request_id, consumed);
    }
  }
  const std::lock_guard lock(mutex_);
  if (!waiting_.empty()) return Next::kAgain;
  if (ended_) return Next::kEnd;
  in_turn_ = false;
  return Next::kRest;
}

std::optional<ChunkStream::Arrived> ChunkStream::take() {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty()) return std::nullopt;
  std::optional<Arrived> next(std::move(waiting_.front()));
  waiting_.pop_front();
  return next;
}

// What the handler has thrown, in words.
std::optional<std::string> ChunkStream::hand_out(Chunk chunk) {
  std::string thrown;
  try {
    handler_(std::move(chunk));
    return std::nullopt;
  } catch (const std::exception& error) {
    thrown = std::string("on_chunk has thrown: ") + error.what();
  } catch (...) {
    thrown = "on_chunk has thrown";
  }
  const std::lock_guard lock(mutex_);
  deaf_ = true;
  waiting_.clear();
  return thrown;
}

}  // namespace dspool::dispatch
