// The front's commands that no worker sees: those that set language models. What a caller said of a
// key is wiped as soon as it is known.
#include <memory>
#include <optional>
#include <utility>

#include "engine/dispatch/errors.h"
#include "engine/dispatch/front.h"
#include "engine/dispatch/language_model.h"
#include "engine/dispatch/secret_text.h"

namespace dspool::dispatch {

Result<void> Front::set_lm(const LanguageModel& model) const {
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  Result<LanguageModel> resolved = resolve_language_model(model);
  if (!resolved) return tl::unexpected(resolved.error());
  const KeyWiper wiper(*resolved);
  gate_.step([&](Dispatcher& dispatcher, TimePoint) { dispatcher.set_lm(*resolved); });
  return {};
}

Result<Answer> Front::set_session_lm(std::string_view id, const std::optional<LanguageModel>& model,
                                     const CallOptions& options) {
  if (!config_.pooling_enabled) return tl::unexpected(errors::pooling_disabled());
  if (auto valid = check_id(id); !valid) return tl::unexpected(std::move(valid.error()));
  LanguageModel resolved;
  const KeyWiper wiper(resolved);
  if (model) {
    auto known = resolve_language_model(*model);
    if (!known) return tl::unexpected(std::move(known.error()));
    resolved = *std::move(known);
  }
  BlockingCall call;
  prepare_set_lm(call, model ? &resolved : nullptr, options);
  return run(call, id);
}

// Setting it is its own repetition, and a key has to reach the engine again: so an idempotency key
// is not looked at.
void Front::prepare_set_lm(Call& call, const LanguageModel* model,
                           const CallOptions& options) const {
  prepare(call, {}, options);
  call.kind = CallKind::kSetModel;
  call.idempotency_key = {};
  call.model = model;
}

Result<Answer> Front::set_lm_by_command(std::string_view id, const Value& args,
                                        const CallOptions& options) {
  auto model = language_model_from(args);
  if (!model) return tl::unexpected(model.error());
  if (id.empty()) return set_pool_lm(std::move(*model).value_or(LanguageModel{}));
  if (!*model) return set_session_lm(id, std::nullopt, options);
  const KeyWiper wiper(**model);
  return set_session_lm(id, *model, options);
}

Result<Answer> Front::set_pool_lm(LanguageModel model) const {
  Result<LanguageModel> resolved = resolve_language_model(std::move(model));
  if (!resolved) return tl::unexpected(resolved.error());
  const KeyWiper wiper(*resolved);
  if (auto set = set_lm(*resolved); !set) return tl::unexpected(std::move(set.error()));
  return Answer{.value = Value{{"status", "configured"}, {"model", resolved->model}}};
}

CallId Front::submit_set_lm(std::string_view id, const Value& args, Completion done,
                            const CallOptions& options) {
  const auto end = [&](Result<Answer> result) {
    gate_.complete(std::move(done), std::move(result));
    return CallId{0};
  };
  auto model = language_model_from(args);
  if (!model) return end(tl::unexpected(model.error()));
  if (id.empty()) return end(set_pool_lm(std::move(*model).value_or(LanguageModel{})));
  auto call = std::make_unique<SubmittedCall>();
  if (*model) {
    auto resolved = resolve_language_model(*std::move(*model));
    if (!resolved) return end(tl::unexpected(std::move(resolved.error())));
    call->owned_model = std::make_unique<LanguageModel>(*std::move(resolved));
    call->key_wiper.emplace(*call->owned_model);
  }
  prepare_set_lm(*call, call->owned_model.get(), options);
  return submit(id, std::move(call), std::move(done), {});
}

}  // namespace dspool::dispatch
