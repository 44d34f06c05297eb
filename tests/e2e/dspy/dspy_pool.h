// Real DSPy behind a pool, and an offline model over HTTP, which is told what to answer and tells
// what it was asked.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/offline_lm/offline_lm.h"
#include "tests/e2e/pool.h"

namespace dspool::test {

// Of the pool's language model: it must turn up nowhere.
inline constexpr const char* kModelKey = "sk-offline-5f2e8d1c";

// What the model was asked, and what it is to do about it. Thread-safe.
class ModelRequests {
 public:
  using Handler = std::function<std::optional<offline_lm::Instead>(std::string_view body)>;

  // Called for each of them, from several threads at once.
  void on_each(Handler handler);
  // Has none of them called any more, and waits for those that run: a handler may refer to what
  // lives no longer than this.
  void settle();
  // Their bodies, in the order in which they came.
  [[nodiscard]] std::vector<std::string> take();
  std::optional<offline_lm::Instead> add(std::string_view body);

 private:
  std::mutex mutex_;
  std::condition_variable settled_;
  int running_ = 0;
  Handler handler_;
  std::vector<std::string> bodies_;
};

class DspyTest : public testing::Test {
 protected:
  // With the tools and programs of `dspy_deployment`. Its workers are forks, which are there at
  // once when one was killed.
  static Config config(std::uint32_t workers, std::uint32_t max_in_flight);
  void start(const Config& config);
  // With the pool's key and address.
  [[nodiscard]] Value model_args(std::string_view model) const;

  Value call(std::string_view session, std::string_view command, const Value& args);
  // As a caller does who knows that it is the killing, and not the call. Of a call that was lost
  // nothing has happened, and for one that was shed it was too early.
  Value call_until_answered(std::string_view session, std::string_view command, const Value& args);

  // Has the session's next call run on another worker. REQUIRES: two workers, both ready.
  void move(std::string_view session);
  // Kills those that run something just now.
  void kill_busy_workers();
  // Kills all others, and waits until there are new ones in their places.
  void replace_idle_workers();
  // The requests since they were taken last, parsed.
  std::vector<Value> take_prompts();

  const CallOptions options_{.timeout = std::chrono::minutes(2), .max_retries = 5};
  ModelRequests requests_;
  std::unique_ptr<offline_lm::OfflineLm> model_;
  std::unique_ptr<Engine> engine_;
};

// How many messages of a role in a prompt have this in them.
int messages_with(ValueView prompt, std::string_view role, std::string_view text);
std::string last_message(ValueView prompt);
// As DSPy writes the value of an input.
std::string as_shown(std::string_view field, std::string_view text);

// What a model says that calls the tool `look_up` once and then finishes; of prompts that ask for
// no tool, nothing.
std::optional<offline_lm::Instead> look_up_once(std::string_view body);

}  // namespace dspool::test
