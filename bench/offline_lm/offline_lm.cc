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
constexpr const char* kEvents = "text/event-stream";
constexpr std::size_t kBytesPerToken = 4;  // of English text, roughly

std::int64_t tokens_of(std::size_t bytes) {
  return static_cast<std::int64_t>((bytes + kBytesPerToken - 1) / kBytesPerToken);
}

Value usage_of(std::size_t prompt_bytes, std::size_t answer_bytes) {
  const std::int64_t prompt_tokens = tokens_of(prompt_bytes);
  const std::int64_t completion_tokens = tokens_of(answer_bytes);
  return Value{{"prompt_tokens", prompt_tokens},
               {"completion_tokens", completion_tokens},
               {"total_tokens", prompt_tokens + completion_tokens}};
}

std::string id_of(const ChatRequest& request) {
  return fmt::format("chatcmpl-offline-{:016x}", request.prompt_hash);
}

// One for each choice.
using Texts = std::vector<std::string>;

std::string completion(const ChatRequest& request, const Texts& texts) {
  std::vector<Value> choices;
  choices.reserve(texts.size());
  std::size_t answer_bytes = 0;
  for (const std::string& text : texts) {
    answer_bytes += text.size();
    choices.push_back(Value{{"index", static_cast<std::int64_t>(choices.size())},
                            {"message", {{"role", "assistant"}, {"content", text}}},
                            {"finish_reason", "stop"}});
  }
  const std::vector<Value::Item> items(choices.begin(), choices.end());
  return Value{{"id", id_of(request)},
               {"object", "chat.completion"},
               {"created", 0},  // an answer says nothing that the prompt does not determine
               {"model", "offline"},
               {"choices", Value::list(items)},
               {"usage", usage_of(request.prompt_bytes, answer_bytes)}}
      .to_json();
}

void add_event(std::string& events, const ChatRequest& request, const Value& choices,
               const Value::Item& usage) {
  const Value event{{"id", id_of(request)}, {"object", "chat.completion.chunk"},
                    {"created", 0},         {"model", "offline"},
                    {"choices", choices},   {"usage", usage}};
  events.append("data: ").append(event.to_json()).append("\n\n");
}

Value piece_of(std::size_t choice, std::string_view text, const Value::Item& finish_reason) {
  return Value::list({Value{{"index", static_cast<std::int64_t>(choice)},
                            {"delta", {{"role", "assistant"}, {"content", text}}},
                            {"finish_reason", finish_reason}}});
}

// The same answer as server-sent events, word by word.
std::string events_of(const ChatRequest& request, const Texts& texts) {
  std::string events;
  std::size_t answer_bytes = 0;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const std::string& text = texts[i];
    answer_bytes += text.size();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t space = text.find(' ', begin);
      const std::size_t end = space == std::string::npos ? text.size() : space + 1;
      add_event(events, request,
                piece_of(i, std::string_view(text).substr(begin, end - begin), nullptr), nullptr);
      begin = end;
    }
    add_event(events, request, piece_of(i, "", "stop"), nullptr);
  }
  add_event(events, request, Value::list({}), usage_of(request.prompt_bytes, answer_bytes));
  return events.append("data: [DONE]\n\n");
}

std::string models() {
  return Value{
      {"object", "list"},
      {"data",
       Value::list({Value{
           {"id", "offline"}, {"object", "model"}, {"created", 0}, {"owned_by", "dspool"}}})}}
      .to_json();
}

void refuse(httplib::Response& response, int status, std::string_view message,
            const Value::Item& code = nullptr) {
  response.status = status;
  const Value error{{"error",
                     {{"message", message},
                      {"type", "invalid_request_error"},
                      {"param", nullptr},
                      {"code", code}}}};
  response.set_content(error.to_json(), kJson);
}

void spoil(std::string answer, const char* type, Fault fault, httplib::Response& response) {
  if (fault == Fault::kNoJson) {
    return response.set_content("<html>the gateway has nothing to say</html>", type);
  }
  const std::size_t announced = answer.size();
  answer.resize(announced / 2);
  response.set_content_provider(
      announced, type,
      [half = std::move(answer)](std::size_t, std::size_t, httplib::DataSink& sink) {
        sink.write(half.data(), half.size());
        return false;
      });
}

}  // namespace

class OfflineLm::Parts {
 public:
  explicit Parts(const Options& options)
      : seed_(options.seed),
        on_request_(options.on_request),
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
    const std::optional<Instead> wanted = on_request_ ? on_request_(body) : std::nullopt;
    const Instead* const instead = wanted ? &*wanted : nullptr;
    if (const auto* const refusal = std::get_if<Refusal>(instead)) {
      if (!refusal->retry_after.empty()) response.set_header("Retry-After", refusal->retry_after);
      return refuse(response, refusal->status, refusal->message, refusal->code);
    }
    if (!think(latency_.of(request->prompt_hash))) {
      return refuse(response, 503, "the offline model is stopping");
    }
    const auto* const words = std::get_if<Words>(instead);
    Texts texts;
    texts.reserve(request->choices);
    for (std::size_t i = 0; i < request->choices; ++i) {
      texts.push_back(words != nullptr ? words->text : answer_to(*request, seed_, i));
    }
    std::string answer =
        request->streams ? events_of(*request, texts) : completion(*request, texts);
    const char* const type = request->streams ? kEvents : kJson;
    if (const auto* const fault = std::get_if<Fault>(instead)) {
      return spoil(std::move(answer), type, *fault, response);
    }
    response.set_content(answer, type);
    answered_.fetch_add(1);
  }

  // False when the server stops meanwhile.
  bool think(std::chrono::nanoseconds time) {
    if (time <= std::chrono::nanoseconds::zero()) return true;
    std::unique_lock lock(mutex_);
    return !stopped_.wait_for(lock, time, [this] { return stopping_; });
  }

  const std::uint64_t seed_;
  const std::function<std::optional<Instead>(std::string_view body)> on_request_;
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
