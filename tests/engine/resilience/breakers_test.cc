#include "engine/resilience/breakers.h"

#include <gtest/gtest.h>

namespace dspool::resilience {
namespace {

constexpr TimePoint kNow{std::chrono::hours(1)};

TEST(BreakersTest, AProviderIsAskedByTheCommandsThatHaveToldOfIt) {
  Breakers breakers({});
  EXPECT_EQ(breakers.find_for("predict", ""), nullptr);
  ProviderBreaker* const openai = breakers.learn("openai", "predict");
  ASSERT_NE(openai, nullptr);
  EXPECT_EQ(breakers.learn("openai", "predict"), openai);
  EXPECT_EQ(breakers.find_for("predict", ""), openai);
  EXPECT_EQ(breakers.find_for("list_programs", ""), nullptr);
  EXPECT_EQ(openai->commands.size(), 1U);
}

TEST(BreakersTest, OnlyTheProviderOfThePoolsModelStandsInTheWay) {
  Breakers breakers({});
  ProviderBreaker* const openai = breakers.learn("openai", "predict");
  EXPECT_EQ(breakers.find_for("predict", "anthropic"), nullptr);
  ProviderBreaker* const anthropic = breakers.learn("anthropic", "predict");
  EXPECT_EQ(breakers.find_for("predict", "anthropic"), anthropic);
  EXPECT_EQ(breakers.find_for("predict", "openai"), openai);
}

TEST(BreakersTest, AreFoundByNameAndThePoolsIsThereFromTheStart) {
  Breakers breakers({});
  EXPECT_EQ(breakers.find("pool"), &breakers.pool());
  EXPECT_EQ(breakers.find("openai"), nullptr);
  ProviderBreaker* const openai = breakers.learn("openai", "predict");
  EXPECT_EQ(breakers.find("openai"), openai);
  openai->breaker.isolate();
  const auto described = breakers.describe(kNow);
  ASSERT_EQ(described.size(), 2U);
  EXPECT_EQ(described[0].name, "pool");
  EXPECT_EQ(described[0].state, BreakerState::kClosed);
  EXPECT_EQ(described[1].name, "openai");
  EXPECT_EQ(described[1].state, BreakerState::kIsolated);
}

TEST(BreakersTest, WhatWorkersSayOfProvidersIsBounded) {
  Breakers breakers({});
  EXPECT_EQ(breakers.learn("", "predict"), nullptr);
  EXPECT_EQ(breakers.learn("pool", "predict"), nullptr);
  EXPECT_EQ(breakers.learn(std::string(65, 'x'), "predict"), nullptr);
  for (int i = 0; i < 100; ++i) static_cast<void>(breakers.learn("openai", std::to_string(i)));
  EXPECT_NE(breakers.learn("openai", "0"), nullptr);
  EXPECT_EQ(breakers.learn("openai", "99"), nullptr);
  for (int i = 0; i < 100; ++i) static_cast<void>(breakers.learn(std::to_string(i), "predict"));
  EXPECT_EQ(breakers.describe(kNow).size(), 1 + Breakers::kMostProviders);
}

}  // namespace
}  // namespace dspool::resilience
