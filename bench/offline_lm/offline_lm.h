// A stand-in for a language model that needs no network and no key: an HTTP server on 127.0.0.1
// that speaks enough of OpenAI's API for DSPy, and answers from a hash of the prompt. It knows
// nothing. It is there so that demonstrations, load tests and tests run everywhere, give the same
// answers each time, and wait for them as long as for a real model where that is asked for.
//
// POST /v1/chat/completions and GET /v1/models. Answers carry usage numbers and the model name
// "offline", whatever was asked for. DSPy's ChatAdapter and JSONAdapter can parse them. A streamed
// answer comes word by word, all of them at once.
//
// Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "dspool/error.h"

namespace dspool::offline_lm {

// What may be done instead of answering from the hash:
// an error in OpenAI's shape,
struct Refusal {
  int status = 429;
  std::string message{};
  std::string code{};         // such as "rate_limit_exceeded"
  std::string retry_after{};  // the header, where it is not empty
};
// an answer of these words,
struct Words {
  std::string text{};
};
// or no answer at all.
enum class Fault : std::uint8_t {
  kCut,     // half of it, and the connection is closed
  kNoJson,  // a body that is no JSON
};
using Instead = std::variant<Refusal, Words, Fault>;

struct Options {
  std::uint16_t port = 0;  // 0: any that is free
  std::uint64_t seed = 0;  // other answers, and other latencies
  std::chrono::milliseconds median_latency{0};
  double sigma = 0.5;                  // of the log-normal latency
  std::size_t max_connections = 4096;  // served at once; more wait
  // Called with each completion's body before it is answered, from several threads at once; it may
  // take its time. Nothing: the model answers as ever.
  std::function<std::optional<Instead>(std::string_view body)> on_request{};
};

class OfflineLm {
 public:
  // Errors: system_error / "listen_failed".
  static Result<std::unique_ptr<OfflineLm>> start(const Options& options);

  // Ends all requests, waiting ones too.
  ~OfflineLm();
  OfflineLm(const OfflineLm&) = delete;
  OfflineLm& operator=(const OfflineLm&) = delete;

  // What clients call the base: "http://127.0.0.1:40211/v1".
  [[nodiscard]] std::string api_base() const;
  [[nodiscard]] std::uint16_t port() const noexcept;
  // Completions answered so far.
  [[nodiscard]] std::uint64_t answered() const noexcept;

 private:
  class Parts;
  explicit OfflineLm(std::unique_ptr<Parts> parts) noexcept;

  std::unique_ptr<Parts> parts_;
};

}  // namespace dspool::offline_lm
