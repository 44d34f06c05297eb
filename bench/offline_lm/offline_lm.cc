#include "bench/offline_lm/offline_lm.h"

#include <fmt/format.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/offline_lm/answer.h"
#include "bench/offline_lm/chat_request.h"
#include "bench/offline_lm/http_server.h"
#include "bench/offline_lm/latency.h"
#include "dspool/value.h"

namespace dspool::offline_lm {
namespace {

constexpr const char* kHost = "127.0.0.1";
constexpr const char* kJson = "application/json";
constexpr std::size_t kBytesPerToken = 4;  // of English text, roughly

std::int64_t tokens_of(std::size_t bytes) {
  return static_cast<std::int64_t>((bytes + kBytesPerToken - 1) / kBytesPerToken);
}

std::string completion(const ChatRequest& request, std::uint64_t seed) {
  std::vector<Value> choices;
  std::size_t answer_bytes = 0;
  for (std::size_t i = 0; i < request.choices; ++i) {
    const std::string text = answer_to(request, seed, i);
    answer_bytes += text.size();
    choices.push_back(Value{{"index", static_cast<std::int64_t>(i)},
                            {"message", {{"role", "assistant"}, {"content", text}}},
                            {"finish_reason", "stop"}});
  }
  const std::vector<Value::Item> items(choices.begin(), choices.end());
  const std::int64_t prompt_tokens = tokens_of(request.prompt_bytes);
  const std::int64_t completion_tokens = tokens_of(answer_bytes);
  return Value{{"id", fmt::format("chatcmpl-offline-{:016x}", request.prompt_hash)},
               {"object", "chat.completion"},
               {"created", 0},  // an answer says nothing that the prompt does not determine
               {"model", "offline"},
               {"choices", Value::list(items)},
               {"usage",
                {{"prompt_tokens", prompt_tokens},
                 {"completion_tokens", completion_tokens},
                 {"total_tokens", prompt_tokens + completion_tokens}}}}
      .to_json();
}

std::string models() {
  return Value{
      {"object", "list"},
      {"data",
       Value::list({Value{
           {"id", "offline"}, {"object", "model"}, {"created", 0}, {"owned_by", "dspool"}}})}}
      .to_json();
}

void refuse(httplib::Response& response, int status, std::string_view message) {
  response.status = status;
  const Value error{{"error",
                     {{"message", message},
                      {"type", "invalid_request_error"},
                      {"param", nullptr},
                      {"code", nullptr}}}};
  response.set_content(error.to_json(), kJson);
}

}  // namespace

class OfflineLm::Parts {
 public:
  explicit Parts(const Options& options)
      : seed_(options.seed),
        latency_(options.median_latency, options.sigma, options.seed),
        server_(options.max_connections) {
    server_.Post("/v1/chat/completions",
                 [this](const httplib::Request& request, httplib::Response& response) {
                   complete(request.body, response);
                 });
    server_.Get("/v1/models", [](const httplib::Request&, httplib::Response& response) {
      response.set_content(models(), kJson);
    });
    server_.set_error_handler([](const httplib::Request& request, httplib::Response& response) {
      if (!response.body.empty()) return;
      if (response.status == 404) {
        refuse(response, 404,
               fmt::format("the offline model has no {} {}: POST /v1/chat/completions, or GET "
                           "/v1/models",
                           request.method, request.path));
      } else {
        refuse(response, response.status, "the request could not be read");
      }
    });
  }

  ~Parts() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    stopped_.notify_all();
    server_.stop_serving();
  }

  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  bool listen(std::uint16_t port) {
    const std::optional<std::uint16_t> bound = server_.start(kHost, port);
    port_ = bound.value_or(0);
    return bound.has_value();
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::uint64_t answered() const noexcept { return answered_.load(); }

 private:
  void complete(std::string_view body, httplib::Response& response) {
    const Result<ChatRequest> request = ChatRequest::parse(body);
    if (!request) return refuse(response, 400, request.error().message);
    if (!think(latency_.of(request->prompt_hash))) {
      return refuse(response, 503, "the offline model is stopping");
    }
    response.set_content(completion(*request, seed_), kJson);
    answered_.fetch_add(1);
  }

  // False when the server stops meanwhile.
  bool think(std::chrono::nanoseconds time) {
    if (time <= std::chrono::nanoseconds::zero()) return true;
    std::unique_lock lock(mutex_);
    return !stopped_.wait_for(lock, time, [this] { return stopping_; });
  }

  const std::uint64_t seed_;
  const Latency latency_;
  std::atomic<std::uint64_t> answered_{0};
  std::mutex mutex_;
  std::condition_variable stopped_;
  bool stopping_ = false;
  std::uint16_t port_ = 0;
  HttpServer server_;  // last: its threads use all of the above
};

Result<std::unique_ptr<OfflineLm>> OfflineLm::start(const Options& options) {
  auto parts = std::make_unique<Parts>(options);
  if (!parts->listen(options.port)) {
    return tl::unexpected(
        Error{.category = ErrorCategory::kSystemError,
              .code = "listen_failed",
              .message = fmt::format("the offline model cannot listen on {}:{}: choose another "
                                     "port, or 0 for any that is free",
                                     kHost, options.port)});
  }
  return std::unique_ptr<OfflineLm>(new OfflineLm(std::move(parts)));
}

OfflineLm::OfflineLm(std::unique_ptr<Parts> parts) noexcept : parts_(std::move(parts)) {}
OfflineLm::~OfflineLm() = default;

std::string OfflineLm::api_base() const { return fmt::format("http://{}:{}/v1", kHost, port()); }
std::uint16_t OfflineLm::port() const noexcept { return parts_->port(); }
std::uint64_t OfflineLm::answered() const noexcept { return parts_->answered(); }

}  // namespace dspool::offline_lm
