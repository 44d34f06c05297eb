// A session's own language model as its state has it: all that the engine was told of it but the
// key, which is in the engine's memory only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace dspool::session {

inline constexpr std::size_t kMostModelBytes = 8 * 1024;  // of each of a model's strings

struct ModelReference {
  std::string model{};     // with its provider: "openai/gpt-4o-mini"
  std::string api_base{};  // empty: the provider's own
  std::optional<double> temperature{};
  bool had_key = false;

  friend bool operator==(const ModelReference&, const ModelReference&) = default;
};

}  // namespace dspool::session
