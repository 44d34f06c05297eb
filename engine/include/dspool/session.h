// How a session is created by name, and what can be asked about it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dspool/value.h"

namespace dspool {

// What `Engine::create_session` does with a session that exists.
enum class IfExists : std::uint8_t {
  kFail,     // session / "session_exists"
  kKeep,     // nothing: it stays as it is
  kReplace,  // ends it after the calls that arrived before, and creates it anew
};

// What a session survives. An answer comes only after its commit has got so far.
enum class Durability : std::uint8_t {
  kMemory,      // the death of workers
  kLocal,       // the death of the engine, and the loss of power
  kReplicated,  // the loss of the machine; refused as long as there is no replicated store
};
[[nodiscard]] std::string_view to_string(Durability durability) noexcept;

// What ended a session.
enum class SessionEnd : std::uint8_t {
  kAsked,      // a call: it was ended, or replaced
  kExpired,    // nobody used it for its ttl
  kTemporary,  // it was an anonymous call's, and that has ended
  kStopped,    // the pool; what is `local` goes on with the next one
};
[[nodiscard]] std::string_view to_string(SessionEnd end) noexcept;

struct SessionOptions {
  // How long it lives after its last activity, at most a week; 0: until it is ended.
  // SessionConfig::ttl if unset.
  std::optional<std::chrono::milliseconds> ttl{};
  IfExists if_exists = IfExists::kFail;
  // SessionConfig::durability if unset. kLocal needs StoreConfig::path.
  std::optional<Durability> durability{};
};

// What `Engine::update_fields` changes, as one commit. A key stands in one of the three.
struct FieldUpdate {
  std::vector<std::pair<std::string, Value>> puts{};
  std::vector<std::string> deletes{};  // one that is not there is no error
  // To a list the elements of a list, to a text a text; the field must be there.
  std::vector<std::pair<std::string, Value>> appends{};
};

struct SessionInfo {
  std::string id;
  std::uint64_t version = 0;
  std::size_t fields = 0;
  std::size_t bytes = 0;         // of its encoded fields, keys included
  std::uint64_t operations = 0;  // calls that ended with an answer
  std::uint32_t waiting = 0;     // calls in its queue, the running one not counted
  bool running = false;
  Durability durability = Durability::kMemory;
  bool at_rest = false;  // its fields are in the durable store alone, until it is used
  // Its state has ended workers, and none is given it: Engine::release_session.
  bool quarantined = false;
  std::string language_model;  // of its own (Engine::set_session_lm); empty: the pool's
  std::string warm_worker;     // where its fields are warm; empty: nowhere
  std::chrono::system_clock::time_point started_at;
  std::chrono::system_clock::time_point last_activity;
  // Until it expires, if nothing happens; nothing: it does not.
  std::optional<std::chrono::milliseconds> ttl_left;
};

}  // namespace dspool
