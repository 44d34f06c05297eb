// What is held against a session, or against calls of it, whose workers died: see
// dispatch/dispatcher_isolation.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "engine/session/stored_answers.h"

namespace dspool::session {

struct Suspicion {
  static constexpr std::size_t kMostKeys = 16;

  bool in_doubt = false;     // since a worker died that had begun a call of it: its calls run alone
  bool quarantined = false;  // no worker is given it
  // Since it was used without a death: how often a call of it, alone, has ended its worker, and
  // what the last of those asked for.
  std::uint32_t deaths_alone = 0;
  Fingerprint last_asked;
  std::deque<std::string> keys{};  // idempotency keys of quarantined calls, the newest kMostKeys
};

}  // namespace dspool::session
