// A session as a line of JSON, and back.
//
//   {"id":"user-42","ttl_ms":300000,"created_ns":1700000000000000000,"version":3,
//    "state_id":"17","operations":3,"fields":{"history":["a","b"],"n":1},
//    "answers":[{"key":"k","asked":"<32 hexadecimal digits>","version":3,"value":1}],
//    "language_model":{"model":"openai/gpt-4o-mini","api_base":"","had_key":true}}
//
// Where a text is not UTF-8, or a field's key has a NUL, it stands in base64 under "id_base64",
// "fields_base64" or "key_base64". A value that JSON cannot hold as it is (bytes, NaN, infinities,
// texts that are not UTF-8, deep nesting) is {"$flexbuffer": "<its FlexBuffer in base64>"}.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "engine/store/durable_store.h"
#include "engine/store/stored_record.h"

namespace dspool::store {

[[nodiscard]] std::string to_line(std::string_view id, const StoredTerms& terms,
                                  const StoredState& state);

struct SessionLine {
  std::string id;
  StoredTerms terms;
  std::vector<std::byte> log;  // one snapshot
};
// What is wrong with the line, where something is: names that are not known too.
tl::expected<SessionLine, std::string> from_line(std::string_view line);

}  // namespace dspool::store
