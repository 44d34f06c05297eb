#include "engine/session/stored_answers.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <utility>

namespace dspool::session {

Fingerprint fingerprint(std::string_view command, std::span<const std::uint8_t> args) noexcept {
  const std::uint64_t seed = XXH3_64bits(command.data(), command.size());
  const XXH128_hash_t hash = XXH3_128bits_withSeed(args.data(), args.size(), seed);
  return {.low = hash.low64, .high = hash.high64};
}

const StoredAnswer* StoredAnswers::find(std::string_view key, TimePoint now) const noexcept {
  // From the newest: a key that was stored anew after it had grown too old stands there twice.
  const auto found = std::find_if(answers_.rbegin(), answers_.rend(),
                                  [key](const StoredAnswer& answer) { return answer.key == key; });
  if (found == answers_.rend() || now - found->stored >= kLifetime) return nullptr;
  return &*found;
}

void StoredAnswers::store(StoredAnswer answer) {
  const TimePoint now = answer.stored;
  bytes_ += size_of(answer);
  answers_.push_back(std::move(answer));
  while (!answers_.empty() && (answers_.size() > kMostAnswers || bytes_ > kMostBytes ||
                               now - answers_.front().stored >= kLifetime)) {
    bytes_ -= size_of(answers_.front());
    answers_.pop_front();
  }
}

void StoredAnswers::renew(TimePoint now) noexcept {
  for (StoredAnswer& answer : answers_) answer.stored = now;
}

std::size_t StoredAnswers::size_of(const StoredAnswer& answer) noexcept {
  return answer.key.size() + answer.value.size();
}

}  // namespace dspool::session
