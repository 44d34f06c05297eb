// Language models: whose a name is, which one a call has, and what workers are told of them.
#include "engine/dispatch/language_model.h"

#include <gmock/gmock.h>

#include <cinttypes>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "engine/dispatch/language_models.h"
#include "ipc/state_segment.h"
#include "tests/engine/dispatch/stepped_pool.h"

namespace dspool::dispatch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// ---- names ----

std::string resolved(const LanguageModel& model) {
  const auto result = resolve_language_model(model);
  if (!result) return result.error().code;
  EXPECT_EQ(result->provider, "");
  return result->model;
}

TEST(LanguageModelNameTest, ABareOneIsResolvedToItsMaker) {
  const std::pair<const char*, const char*> expected[] = {
      {"gemini-1.5-flash", "gemini/gemini-1.5-flash"},
      {"gpt-4o-mini", "openai/gpt-4o-mini"},
      {"chatgpt-4o-latest", "openai/chatgpt-4o-latest"},
      {"o1", "openai/o1"},
      {"o3-mini", "openai/o3-mini"},
      {"o4-mini", "openai/o4-mini"},
      {"claude-3-5-sonnet-20241022", "anthropic/claude-3-5-sonnet-20241022"},
      {"mistral-large-latest", "mistral/mistral-large-latest"},
      {"command-r-plus", "cohere/command-r-plus"},
      {"deepseek-chat", "deepseek/deepseek-chat"},
      {"grok-2", "xai/grok-2"},
      {"sonar-pro", "perplexity/sonar-pro"},
  };
  for (const auto& [bare, whole] : expected) EXPECT_EQ(resolved({.model = bare}), whole);
}

TEST(LanguageModelNameTest, OneWithItsProviderStays) {
  EXPECT_EQ(resolved({.model = "openai/gpt-4o"}), "openai/gpt-4o");
  EXPECT_EQ(resolved({.model = "openrouter/google/gemini-pro"}), "openrouter/google/gemini-pro");
  EXPECT_EQ(resolved({.model = "of_our_own/model"}), "of_our_own/model");
}

TEST(LanguageModelNameTest, TheProviderThatIsNamedCounts) {
  EXPECT_EQ(resolved({.model = "gpt-4o", .provider = "azure"}), "azure/gpt-4o");
  EXPECT_EQ(resolved({.model = "azure/gpt-4o", .provider = "azure"}), "azure/gpt-4o");
  EXPECT_EQ(resolved({.model = "gemini-1.5-flash", .provider = "google"}),
            "gemini/gemini-1.5-flash");
  EXPECT_EQ(resolved({.model = "meta-llama/Llama-3-8b", .provider = "together_ai"}),
            "together_ai/meta-llama/Llama-3-8b");
}

TEST(LanguageModelNameTest, AServerOfOnesOwnSpeaksOpenAis) {
  EXPECT_EQ(resolved({.model = "llama3.2", .api_base = "http://localhost:8000/v1"}),
            "openai/llama3.2");
  EXPECT_EQ(resolved({.model = "claude-3-opus", .api_base = "http://proxy"}),
            "anthropic/claude-3-opus");
}

TEST(LanguageModelNameTest, OneThatNobodyKnowsIsRefusedWithTheKnownProviders) {
  for (const char* name : {"llama3.2", "o365", "o1x", "gp", "commander", ""}) {
    EXPECT_EQ(resolved({.model = name}), "invalid_language_model") << name;
  }
  EXPECT_THAT(
      resolve_language_model({.model = "llama3.2"}).error().message,
      AllOf(HasSubstr("'llama3.2'"), HasSubstr("write provider/llama3.2"), HasSubstr("anthropic, "),
            HasSubstr(", gemini, "), HasSubstr(", openai, "), HasSubstr("api_base")));
}

TEST(LanguageModelNameTest, WhatIsNoNameIsRefused) {
  EXPECT_EQ(resolved({.model = "/gpt-4o"}), "invalid_language_model");
  EXPECT_EQ(resolved({.model = "openai/"}), "invalid_language_model");
  EXPECT_EQ(resolved({.model = "gpt-4o", .provider = "os.system('x')"}), "invalid_language_model");
  EXPECT_EQ(resolved({.model = "gpt-4o", .temperature = -1}), "invalid_language_model");
  EXPECT_EQ(resolved({.model = "gpt-4o", .temperature = std::nan("")}), "invalid_language_model");
  EXPECT_EQ(resolved({.model = "gpt-4o", .api_key = std::string(10'000, 'k')}),
            "invalid_language_model");
}

TEST(LanguageModelNameTest, ANullModelAloneIsThePools) {
  EXPECT_EQ(*language_model_from({{"model", nullptr}}), std::nullopt);
  EXPECT_EQ(*language_model_from({{"model", ""}, {"api_key", nullptr}}), std::nullopt);
  EXPECT_TRUE(*language_model_from({{"model", nullptr}, {"api_key", "k"}}));
  const auto unnamed = language_model_from(Value::map(std::vector<Value::Member>{}));
  ASSERT_TRUE(unnamed);
  EXPECT_TRUE(*unnamed) << "which has no name, and is refused";
}

// ---- those in use ----

TEST(LanguageModelsTest, EqualOnesAreOne) {
  LanguageModels models;
  const LanguageModel model{.model = "openai/a", .api_key = "k", .temperature = 0.5};
  const std::uint32_t number = models.take(model);
  for (int i = 0; i < 10'000; ++i) ASSERT_EQ(models.take(model), number);
  EXPECT_EQ(models.size(), 1U);
  for (int i = 0; i < 10'001; ++i) models.release(number);
  EXPECT_EQ(models.size(), 0U);
}

TEST(LanguageModelsTest, EverythingMakesADifference) {
  LanguageModels models;
  const std::uint32_t numbers[] = {
      models.take(LanguageModel{.model = "openai/a"}),
      models.take(LanguageModel{.model = "openai/b"}),
      models.take(LanguageModel{.model = "openai/a", .api_base = "http://x"}),
      models.take(LanguageModel{.model = "openai/a", .api_key = "k"}),
      models.take(LanguageModel{.model = "openai/a", .api_key = "l"}),
      models.take(LanguageModel{.model = "openai/a", .temperature = 0}),
      models.take(session::ModelReference{.model = "openai/a", .had_key = true})};
  EXPECT_EQ(models.size(), std::size(numbers));
  EXPECT_TRUE(models.at(numbers[6]).lacks_key);
  EXPECT_TRUE(models.reference(numbers[3]).had_key);
  EXPECT_TRUE(models.reference(numbers[6]).had_key);
  EXPECT_FALSE(models.reference(numbers[0]).had_key);
}

// What the kernel says of the memory where `address` is.
std::string flags_of(const void* address) {
  std::ifstream maps("/proc/self/smaps");
  bool is_here = false;
  for (std::string line; std::getline(maps, line);) {
    std::uintptr_t from = 0;
    std::uintptr_t to = 0;
    if (std::sscanf(line.c_str(), "%" SCNxPTR "-%" SCNxPTR " ", &from, &to) == 2) {
      const auto wanted = reinterpret_cast<std::uintptr_t>(address);
      is_here = from <= wanted && wanted < to;
    }
    if (is_here && line.starts_with("VmFlags:")) return line;
  }
  return {};
}

TEST(LanguageModelsTest, AKeyIsInNoCoreDumpAndInNoFork) {
  LanguageModels models;
  const std::uint32_t number = models.take(LanguageModel{.model = "openai/a", .api_key = "secret"});
  const LanguageModels::Known& known = models.at(number);
  EXPECT_EQ(known.key.view(), "secret");
  EXPECT_EQ(known.model.api_key, "");
  EXPECT_THAT(flags_of(known.key.view().data()), AllOf(HasSubstr(" dd"), HasSubstr(" dc")));
  EXPECT_THAT(flags_of(&known), Not(HasSubstr(" dd"))) << "which is what a core has";
}

TEST(LanguageModelsTest, AnIdIsNeverUsedTwice) {
  LanguageModels models;
  const std::uint32_t number = models.take(LanguageModel{.model = "openai/a"});
  const std::uint64_t id = models.at(number).id;
  models.release(number);
  EXPECT_FALSE(models.is_current(number, id));
  EXPECT_EQ(models.take(LanguageModel{.model = "openai/a"}), number);
  EXPECT_FALSE(models.is_current(number, id));
}

TEST(LanguageModelsTest, ThereIsABound) {
  LanguageModels models;
  for (std::uint32_t i = 0; i < LanguageModels::kMost; ++i) {
    ASSERT_NE(models.take(LanguageModel{.model = "openai/" + std::to_string(i)}), 0U);
  }
  EXPECT_EQ(models.take(LanguageModel{.model = "openai/more"}), 0U);
  EXPECT_NE(models.take(LanguageModel{.model = "openai/1"}), 0U);
  EXPECT_NE(models.take(session::ModelReference{.model = "openai/more", .had_key = true}), 0U);
}

// ---- of sessions ----

class SessionModelTest : public testing::Test {
 protected:
  std::string set(std::string_view session, const LanguageModel* model) {
    SteppedCall call;
    pool_.prepare(call, session, CallKind::kSetModel);
    call.model = model;
    EXPECT_TRUE(pool_.dispatcher().arrive(call, pool_.now()));
    return call.code();
  }
  std::string set(std::string_view session, const std::string& name) {
    const LanguageModel model{.model = name};
    return set(session, &model);
  }
  // The name of the model that a call of the session has, as far as its worker was told.
  std::string model_of(std::string_view session) {
    SteppedCall& call = pool_.call(session);
    const std::uint64_t id = pool_.last_model();
    pool_.answer(call, 1);
    EXPECT_EQ(call.code(), "ok");
    for (const auto& told : pool_.told_models()) {
      if (told.id == id && told.worker == call.worker) return told.name;
    }
    return id == 0 ? "none" : "not told";
  }

  ipc::StateSegment segment_{std::size_t{64} << 20};
  SteppedPool pool_{segment_};
};

TEST_F(SessionModelTest, ItsOwnGoesBeforeThePools) {
  EXPECT_EQ(model_of("a"), "none");
  pool_.dispatcher().set_lm({.model = "openai/pool"});
  EXPECT_EQ(model_of("a"), "openai/pool");
  ASSERT_EQ(set("a", "openai/own"), "ok");
  EXPECT_EQ(model_of("a"), "openai/own");
  EXPECT_EQ(model_of("b"), "openai/pool");
  EXPECT_EQ(model_of(""), "openai/pool");
  ASSERT_EQ(set("a", nullptr), "ok");
  EXPECT_EQ(model_of("a"), "openai/pool");
}

TEST_F(SessionModelTest, SettingItIsACommit) {
  ASSERT_EQ(set("a", "openai/own"), "ok");
  EXPECT_EQ(pool_.session("a")->record.version(), 1U);
  ASSERT_EQ(set("a", nullptr), "ok");
  EXPECT_EQ(pool_.session("a")->record.version(), 2U);
}

TEST_F(SessionModelTest, ItTakesItsTurn) {
  SteppedCall& before = pool_.call("a");
  SteppedCall setting;
  const LanguageModel model{.model = "openai/own"};
  pool_.prepare(setting, "a", CallKind::kSetModel);
  setting.model = &model;
  ASSERT_TRUE(pool_.dispatcher().arrive(setting, pool_.now()));
  SteppedCall& after = pool_.call("a");
  EXPECT_EQ(setting.code(), "under way");
  EXPECT_EQ(pool_.last_model(), 0U);
  pool_.answer(before, 1);
  EXPECT_EQ(setting.code(), "ok");
  EXPECT_NE(pool_.last_model(), 0U);
  pool_.answer(after, 1);
}

TEST_F(SessionModelTest, AWorkerIsToldOnce) {
  ASSERT_EQ(set("a", "openai/own"), "ok");
  ASSERT_EQ(set("b", "openai/own"), "ok");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(model_of("a"), "openai/own");
    EXPECT_EQ(model_of("b"), "openai/own");
  }
  EXPECT_THAT(pool_.told_models(), SizeIs(1));
  pool_.replace(0);
  EXPECT_EQ(model_of("a"), "openai/own");
  EXPECT_THAT(pool_.told_models(), SizeIs(2));
}

TEST_F(SessionModelTest, EndsWithItsSession) {
  ASSERT_EQ(set("a", "openai/own"), "ok");
  ASSERT_EQ(set("b", "openai/other"), "ok");
  EXPECT_EQ(model_of("a"), "openai/own");
  EXPECT_EQ(pool_.dispatcher().language_models(), 2U);
  EXPECT_EQ(pool_.call("a", CallKind::kEndSession).code(), "ok");
  EXPECT_EQ(pool_.dispatcher().language_models(), 1U);
  EXPECT_EQ(model_of("a"), "none");
}

// One that an attempt in flight names is not forgotten before that is over.
TEST_F(SessionModelTest, WhatNobodyHasIsForgottenByItsWorker) {
  pool_.dispatcher().set_lm({.model = "openai/first"});
  EXPECT_EQ(model_of("a"), "openai/first");
  SteppedCall& running = pool_.call("a");
  pool_.dispatcher().set_lm({.model = "openai/second"});
  SteppedCall& behind = pool_.call("b");
  ASSERT_THAT(pool_.told_models(), SizeIs(2)) << "both are in the worker's ring";
  EXPECT_EQ(pool_.told_models().back().forgets, 0U);
  pool_.answer(running, 1);
  pool_.answer(behind, 1);
  pool_.dispatcher().set_lm({.model = "openai/third"});
  EXPECT_EQ(model_of("a"), "openai/third");
  EXPECT_EQ(pool_.told_models().back().forgets, 2U);
  EXPECT_EQ(pool_.dispatcher().language_models(), 1U);
}

TEST_F(SessionModelTest, TooManyDifferentOnesAreRefused) {
  for (std::uint32_t i = 0; i < LanguageModels::kMost; ++i) {
    ASSERT_EQ(set("s" + std::to_string(i), "openai/" + std::to_string(i)), "ok");
  }
  EXPECT_EQ(set("more", "openai/more"), "too_many_language_models");
  EXPECT_EQ(set("more", "openai/1"), "ok");
}

// ---- of stored sessions ----

class StoredModelTest : public testing::Test {
 protected:
  std::string set(SteppedPool& pool, const LanguageModel* model) {
    SteppedCall call;
    pool.prepare(call, "a", CallKind::kSetModel);
    call.model = model;
    EXPECT_TRUE(pool.dispatcher().arrive(call, pool.now()));
    archive_.carry_out_all(pool);
    return call.code();
  }
  // As a pool that begins on this store knows it.
  void begin_anew(SteppedPool& pool, session::Tier tier = session::Tier::kUnknown) {
    SteppedCall call;
    pool.prepare(call, "a", CallKind::kVisit);
    call.session->tier = tier;
    ASSERT_TRUE(pool.dispatcher().arrive(call, pool.now()));
    archive_.carry_out_all(pool);
    ASSERT_EQ(call.code(), "ok");
  }

  ipc::StateSegment segment_{std::size_t{64} << 20};
  SteppedArchive archive_{segment_};
};

TEST_F(StoredModelTest, IsThereForTheNextEngineWithoutItsKey) {
  const LanguageModel model{.model = "openai/own", .api_base = "http://x", .temperature = 0.5};
  {
    SteppedPool pool{segment_, &archive_};
    pool.durability = Durability::kLocal;
    ASSERT_EQ(set(pool, &model), "ok");
  }
  SteppedPool pool{segment_, &archive_};
  pool.durability = Durability::kLocal;
  begin_anew(pool);
  EXPECT_EQ(pool.session("a")->record.version(), 1U);
  SteppedCall& call = pool.call("a");
  ASSERT_THAT(pool.told_models(), SizeIs(1));
  EXPECT_EQ(pool.told_models().front().name, "openai/own");
  pool.answer(call, 1);
  archive_.carry_out_all(pool);
}

TEST_F(StoredModelTest, ThatHadAKeyIsAskedForNotReplaced) {
  const LanguageModel model{.model = "openai/own", .api_key = "sk-secret"};
  {
    SteppedPool pool{segment_, &archive_};
    pool.durability = Durability::kLocal;
    ASSERT_EQ(set(pool, &model), "ok");
  }
  SteppedPool pool{segment_, &archive_};
  pool.durability = Durability::kLocal;
  pool.dispatcher().set_lm({.model = "openai/pool"});
  begin_anew(pool, session::Tier::kAtRest);  // as the census finds it
  SteppedCall& refused = pool.call("a");
  EXPECT_EQ(refused.code(), "language_model_key_missing");
  EXPECT_THAT(refused.result->error().message, AllOf(HasSubstr("'a'"), HasSubstr("openai/own")));
  EXPECT_THAT(pool.told_models(), IsEmpty());
  ASSERT_EQ(set(pool, &model), "ok");
  SteppedCall& call = pool.call("a");
  pool.answer(call, 1);
  archive_.carry_out_all(pool);
  EXPECT_EQ(call.code(), "ok");
  ASSERT_EQ(set(pool, nullptr), "ok");
  EXPECT_EQ(pool.dispatcher().language_models(), 1U);
}

}  // namespace
}  // namespace dspool::dispatch
