// A session's own language model as its state has it: all that the engine was told of it but the
// key, which is in the engine's memory only.
#pragma once

#include <optional>
#include <string>

namespace dspool::session {

struct ModelReference {
  std::string model{};     // with its provider: "openai/gpt-4o-mini"
  std::string api_base{};  // empty: the provider's own
  std::optional<double> temperature{};
  bool had_key = false;

  friend bool operator==(const ModelReference&, const ModelReference&) = default;
};

}  // namespace dspool::session
