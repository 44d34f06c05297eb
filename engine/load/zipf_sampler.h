// Draws from Zipf's distribution: number k with a probability in proportion to 1 / (k +
// 1)^exponent; 0 is uniform. A draw costs the same however many numbers there are, and nothing is
// kept for each.
//
// Method: rejection-inversion. W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates
// from monotone discrete distributions", ACM TOMACS 6(3), 1996.
#pragma once

#include <cstdint>
#include <random>

namespace dspool::load {

class ZipfSampler {
 public:
  // Of the numbers below `count`. REQUIRES: count >= 1, exponent >= 0.
  ZipfSampler(std::uint32_t count, double exponent) noexcept;

  [[nodiscard]] std::uint32_t draw(std::mt19937_64& random) const;

 private:
  // The density that covers the weights, its integral, and that one's inverse.
  [[nodiscard]] double h(double x) const noexcept;
  [[nodiscard]] double h_integral(double x) const noexcept;
  [[nodiscard]] double h_integral_inverse(double y) const noexcept;

  std::uint32_t count_;
  double exponent_;
  double integral_first_;
  double integral_last_;
  double accept_within_;  // of its number, a draw is taken without a second look
};

}  // namespace dspool::load
