// The language models in use: the pool's, and those that sessions have of their own. Equal ones are
// one, however many sessions have it. Here, and on their way to workers, are the only copies of
// their keys (`secret_text.h`); those of a model that nobody uses any more are wiped.
//
// A session names its model by its number, which is given to another once nobody has it; a worker
// knows it by its id, which is never used twice.
//
// One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "dspool/call.h"
#include "engine/dispatch/secret_text.h"
#include "engine/session/model_reference.h"

namespace dspool::dispatch {

class LanguageModels {
 public:
  static constexpr std::uint32_t kMost = 1024;  // different ones at once

  struct Known {
    std::uint64_t id = 0;   // 0: none has this number
    LanguageModel model{};  // without its key
    SecretText key{};
    bool lacks_key = false;  // it had one, and the engine that knew it is gone
    std::uint32_t users = 0;
  };

  LanguageModels() = default;
  LanguageModels(const LanguageModels&) = delete;
  LanguageModels& operator=(const LanguageModels&) = delete;
  enum class Limit : std::uint8_t { kMost, kNone };
  // The number of a model that was resolved, which has a user more until `release`; 0: there are
  // too many already.
  [[nodiscard]] std::uint32_t take(const LanguageModel& model, Limit limit = Limit::kMost);
  // The same for what a session's state says of one. More of these than kMost may be known: they
  // were set before, and are as many as differ in more than their keys.
  [[nodiscard]] std::uint32_t take(const session::ModelReference& reference);
  // Of 0 nothing happens.
  void release(std::uint32_t number) noexcept;

  // REQUIRES: somebody uses this number.
  [[nodiscard]] const Known& at(std::uint32_t number) const noexcept { return known_[number - 1]; }
  [[nodiscard]] session::ModelReference reference(std::uint32_t number) const;
  // Whether the model that has this number now is the one of this id.
  [[nodiscard]] bool is_current(std::uint32_t number, std::uint64_t id) const noexcept {
    return number <= known_.size() && known_[number - 1].id == id;
  }
  [[nodiscard]] std::size_t size() const noexcept { return numbers_.size(); }

 private:
  std::uint32_t take(const LanguageModel& model, bool lacks_key, Limit limit);

  std::deque<Known> known_;
  std::vector<std::uint32_t> free_;                              // numbers
  std::unordered_multimap<std::string, std::uint32_t> numbers_;  // by all but their keys
  std::uint64_t ids_ = 0;
};

}  // namespace dspool::dispatch
