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
#include "tl/expected.hpp"

namespace dspool::worker {

class RequestEncoder {
 public:
  // The body of a request record; valid until the next call. What is pinned is referred to.
  std::span<const std::byte> encode(const Request& request);
  // A session's fields by themselves, for a payload; valid until the next call.
  std::span<const std::byte> encode_state(std::string_view session, const session::Record& record);

 private:
  flatbuffers::FlatBufferBuilder builder_;
};

// At most so much of a record do a session's fields take.
std::size_t encoded_bytes(const session::Record& record) noexcept;

struct HelloTerms {
  std::uint32_t max_in_flight = 1;
  std::uint32_t session_cache = 1;
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
};

// REQUIRES of all: `body` is private memory, aligned to 16 bytes.
// `outcome` is overwritten, its buffers are reused; its delta looks into `body`.
Verified<void> decode_response(std::span<const std::byte> body, std::uint64_t epoch,
                               Outcome& outcome);
Verified<ReadyReport> decode_ready(std::span<const std::byte> body, std::uint64_t epoch);
Verified<Error> decode_failure(std::span<const std::byte> body, std::uint64_t epoch);

}  // namespace dspool::worker
