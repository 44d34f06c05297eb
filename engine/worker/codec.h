// Records and what they mean: requests into bytes, a worker's bytes into outcomes.
//
// Trust: what a worker wrote is verified before it is read (bounds, depth, number of tables, every
// FlexBuffer by verify_value) and refused as a whole when anything is wrong.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/worker/request.h"
#include "schemas/envelope_generated.h"
#include "schemas/session_generated.h"
#include "tl/expected.hpp"

namespace dspool::worker {

class RequestEncoder {
 public:
  // Finds where a session's fields lie; REQUIRED right before what follows where that is to go with
  // it. What is found is good as long as the record is not changed.
  void refer_to(const session::Record& record);
  [[nodiscard]] std::span<const wire::Piece> pieces() const noexcept { return pieces_; }
  // At most so much of a request do the references take.
  [[nodiscard]] std::size_t state_bytes() const noexcept;

  // The body of a request record; valid until the next call. What is pinned is referred to.
  std::span<const std::byte> encode(const Request& request);
  // The references by themselves, for a payload; valid until the next call.
  std::span<const std::byte> encode_state();

 private:
  flatbuffers::Offset<wire::SessionState> add_state();

  flatbuffers::FlatBufferBuilder builder_;
  // Of the session that is referred to.
  std::string keys_;
  std::vector<wire::FieldRef> fields_;
  std::vector<wire::Piece> pieces_;
};

struct HelloTerms {
  std::uint32_t max_in_flight = 1;
  std::uint32_t session_cache = 1;
  std::uint64_t session_cache_bytes = 0;
  std::uint64_t max_payload_bytes = 0;
};
std::vector<std::byte> encode_hello(std::uint64_t epoch, std::string_view worker,
                                    const HelloTerms& terms);

// What is wrong with a record, in words for the log.
using Violation = std::string;
template <typename T>
using Verified = tl::expected<T, Violation>;

struct ReadyReport {
  std::string python;  // its version and the interpreter's path
  wire::Protocol protocol{};
};

// REQUIRES of all: `body` is private memory, aligned to 16 bytes.
// `outcome` is overwritten, its buffers are reused; its delta looks into `body`.
Verified<void> decode_response(std::span<const std::byte> body, std::uint64_t epoch,
                               Outcome& outcome);
// The same, of `chunk`.
Verified<void> decode_chunk(std::span<const std::byte> body, std::uint64_t epoch,
                            ChunkReport& chunk);
Verified<ReadyReport> decode_ready(std::span<const std::byte> body, std::uint64_t epoch);
Verified<Error> error_from(const wire::ErrorReport& report);  // which is verified
Verified<Error> decode_failure(std::span<const std::byte> body, std::uint64_t epoch);

}  // namespace dspool::worker
