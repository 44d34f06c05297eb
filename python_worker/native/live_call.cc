#include "python_worker/native/live_call.h"

#include <chrono>
#include <limits>
#include <span>
#include <string>
#include <thread>

#include "ipc/layout.h"
#include "python_worker/native/gil.h"
#include "python_worker/native/monotonic_clock.h"
#include "python_worker/native/outgoing_record.h"
#include "schemas/envelope_generated.h"

namespace dspool::python {
namespace {

constexpr std::chrono::microseconds kNap{200};
constexpr std::size_t kKeptChunkBytes = std::size_t{1} << 20;  // from one chunk to the next

void nap_without_gil() {
  const GilRelease no_gil;
  std::this_thread::sleep_for(kNap);
}

std::uint64_t add_saturated(std::uint64_t left, std::uint64_t right) noexcept {
  const std::uint64_t sum = left + right;
  return sum < left ? std::numeric_limits<std::uint64_t>::max() : sum;
}

}  // namespace

void LiveCall::begin(const CallTerms& terms) noexcept {
  terms_ = terms;
  usage_ = {};
  runs_ = true;
  if (terms.streams) window_ = {};
}

// Nothing may follow the answer, so whoever emits on another thread has to leave first.
void LiveCall::end() noexcept {
  runs_ = false;
  while (emitting_) nap_without_gil();
}

bool LiveCall::is_cancelled() const noexcept {
  if (!runs_ || channel_.attention(terms_.place).cancelled) return true;
  return terms_.deadline_ns != 0 && terms_.deadline_ns <= now_ns();
}

void LiveCall::add_usage(const TokenUsage& more) noexcept {
  if (!runs_) return;
  usage_.input_tokens = add_saturated(usage_.input_tokens, more.input_tokens);
  usage_.output_tokens = add_saturated(usage_.output_tokens, more.output_tokens);
}

bool LiveCall::emit(PyObject* chunk) {
  if (!wait_for_others() || !check()) return false;
  if (!terms_.streams) return true;
  emitting_ = true;
  const bool sent = encode(chunk) && send();
  if (builder_.GetSize() > kKeptChunkBytes) builder_.Reset();
  emitting_ = false;
  return sent;
}

bool LiveCall::check() const {
  if (!is_cancelled()) return true;
  PyErr_SetString(cancelled_error_.ptr(), "the call has ended, and nobody waits for its answer");
  return false;
}

bool LiveCall::wait_for_others() const {
  while (emitting_) {
    nap_without_gil();
    if (!check()) return false;
  }
  return true;
}

// The chunk's record, in `builder_`.
bool LiveCall::encode(PyObject* chunk) {
  builder_.Clear();
  if (!encoder_.encode(chunk)) {
    if (PyErr_Occurred() == nullptr) {
      PyErr_SetString(PyExc_TypeError, encoder_.error("chunk").c_str());
    }
    return false;
  }
  const auto value = encoder_.bytes();
  if (value.size() > max_bytes_) {
    PyErr_Format(PyExc_ValueError,
                 "the chunk takes %zu bytes, the limit is %llu: emit less at a time, or raise "
                 "worker.max_payload_bytes",
                 value.size(), static_cast<unsigned long long>(max_bytes_));
    return false;
  }
  builder_.ForceVectorAlignment(value.size(), sizeof(std::uint8_t), ipc::kValueAlignment);
  const auto bytes = builder_.CreateVector(value.data(), value.size());
  builder_.Finish(
      wire::CreateChunk(builder_, channel_.epoch(), terms_.attempt, window_.sent(), bytes));
  return true;
}

bool LiveCall::send() {
  const std::span<const std::uint8_t> body(builder_.GetBufferPointer(), builder_.GetSize());
  OutgoingRecord record(channel_, wire::MessageType::chunk, terms_.request_id, body);
  if (!record.fits_rings()) {
    if (const auto sealed = record.seal(); !sealed) {
      PyErr_SetString(PyExc_MemoryError, sealed.error().what.c_str());
      return false;
    }
  }
  while (check()) {
    const ipc::Attention attention = channel_.attention(terms_.place);
    bool engine_is_there = window_.consume_to(attention.consumed);
    if (window_.has_room(body.size())) {
      const OutgoingRecord::Sent sent = record.try_send();
      if (sent == OutgoingRecord::Sent::kSent) {
        window_.send(body.size());
        return true;
      }
      engine_is_there = sent == OutgoingRecord::Sent::kFull && record.wait_for_room();
    } else {
      const GilRelease no_gil;
      engine_is_there = channel_.wait_for_attention(terms_.place, attention);
    }
    if (!engine_is_there) {
      PyErr_SetString(cancelled_error_.ptr(), "the engine is gone");
      return false;
    }
  }
  return false;
}

}  // namespace dspool::python
