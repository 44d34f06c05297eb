#include "engine/load/zipf_sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

namespace dspool::load {
namespace {

// Draws `draws` of `count` numbers, and compares how often each of the first `looked_at` came with
// how often it should: within five standard deviations, which chance exceeds once in a million.
void expect_zipf(std::uint32_t count, double exponent, std::size_t looked_at, int draws) {
  double sum = 0;
  for (std::uint32_t k = 1; k <= count; ++k) sum += std::pow(k, -exponent);
  const ZipfSampler sampler(count, exponent);
  std::mt19937_64 random(1);
  std::vector<int> drawn(looked_at);
  for (int i = 0; i < draws; ++i) {
    const std::uint32_t number = sampler.draw(random);
    ASSERT_LT(number, count);
    if (number < looked_at) ++drawn[number];
  }
  for (std::size_t k = 0; k < looked_at; ++k) {
    const double share = std::pow(static_cast<double>(k + 1), -exponent) / sum;
    const double deviation = std::sqrt(draws * share * (1 - share));
    EXPECT_NEAR(drawn[k], draws * share, 5 * deviation)
        << "number " << k << " of " << count << ", exponent " << exponent;
  }
}

TEST(ZipfSamplerTest, DrawsEachNumberAsOftenAsItsWeightSays) {
  for (const double exponent : {0.0, 0.3, 0.6, 0.999'999, 1.0, 1.2, 2.5, 5.0}) {
    expect_zipf(1, exponent, 1, 1'000);
    expect_zipf(2, exponent, 2, 100'000);
    expect_zipf(50, exponent, 50, 200'000);
  }
}

TEST(ZipfSamplerTest, DrawsFromTenMillionAsFromTen) {
  for (const double exponent : {0.0, 0.6, 1.0, 1.5}) expect_zipf(10'000'000, exponent, 5, 200'000);
}

TEST(ZipfSamplerTest, ReachesTheLastNumbers) {
  constexpr std::uint32_t kCount = 1'000'000;
  const ZipfSampler sampler(kCount, 0.6);
  std::mt19937_64 random(1);
  int in_last_half = 0;
  constexpr int kDraws = 100'000;
  for (int i = 0; i < kDraws; ++i) in_last_half += sampler.draw(random) >= kCount / 2 ? 1 : 0;
  // Of the integral of x^-0.6: 1 - 0.5^0.4.
  EXPECT_NEAR(in_last_half, kDraws * (1 - std::pow(0.5, 0.4)), 0.01 * kDraws);
}

TEST(ZipfSamplerTest, DrawsTheSameForTheSameSeed) {
  const ZipfSampler sampler(1'000, 0.9);
  std::mt19937_64 one(5), same(5), other(6);
  int different = 0;
  for (int i = 0; i < 100; ++i) {
    const std::uint32_t drawn = sampler.draw(one);
    EXPECT_EQ(drawn, sampler.draw(same));
    if (drawn != sampler.draw(other)) ++different;
  }
  EXPECT_GT(different, 50);
}

}  // namespace
}  // namespace dspool::load
