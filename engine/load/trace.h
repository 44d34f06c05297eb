// Recorded arrivals, from a CSV file with a header line. Two forms are known by their columns, in
// any order:
//
//   timestamp_ms,session_id,input_bytes,output_bytes    the sessions are the trace's own
//   TIMESTAMP,ContextTokens,GeneratedTokens             Azure's LLM inference traces, without
//                                                       sessions; a token is taken as four bytes
//
// Lines are put in the order of their times; the first arrival is at zero.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/error.h"

namespace dspool::load {

struct Arrival {
  std::chrono::nanoseconds at{0};
  std::uint32_t session = 0;  // an index into Trace::session_ids; 0 where there are none
  std::uint32_t input_bytes = 0;
  std::uint32_t output_bytes = 0;
};

struct Trace {
  std::vector<std::string> session_ids;  // empty: the trace names no sessions
  std::vector<Arrival> arrivals;
};

// Errors: initialization / "invalid_options", beginning with `source_name` and the line.
[[nodiscard]] Result<Trace> parse_trace(std::string_view text, std::string_view source_name);
[[nodiscard]] Result<Trace> read_trace(const std::filesystem::path& path);

}  // namespace dspool::load
