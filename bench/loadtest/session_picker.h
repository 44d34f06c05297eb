// Whose turn it is: chooses the session of the next operation. A picked session is not picked
// again before it is released. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <vector>

#include "engine/load/zipf_sampler.h"

namespace dspool::loadtest {

class SessionPicker {
 public:
  virtual ~SessionPicker() = default;

  // Nothing when all that have operations left are picked. `counted` operations are limited,
  // others (a warm-up's) are not.
  virtual std::optional<std::uint32_t> pick(bool counted) = 0;
  virtual void release(std::uint32_t session) = 0;

  // Operations that will still be picked; nothing if there is no limit.
  [[nodiscard]] virtual std::optional<std::uint64_t> left() const = 0;
};

// The session that has waited longest; each session until it has had its number of operations.
class RoundRobin : public SessionPicker {
 public:
  // `operations` of `sessions` sessions each; nothing: without limit.
  RoundRobin(std::uint32_t sessions, std::optional<std::uint64_t> operations);
  // A number for each session, of which uncounted ones are a part.
  explicit RoundRobin(std::vector<std::uint64_t> operations);

  std::optional<std::uint32_t> pick(bool counted) override;
  void release(std::uint32_t session) override;
  [[nodiscard]] std::optional<std::uint64_t> left() const override { return total_left_; }

 private:
  std::vector<std::uint64_t> left_;  // of each session
  std::optional<std::uint64_t> total_left_;
  bool count_all_;
  std::deque<std::uint32_t> waiting_;
};

// Draws sessions from Zipf's distribution. Draws again where the session is picked already.
class Zipf : public SessionPicker {
 public:
  Zipf(std::uint32_t sessions, double exponent, std::optional<std::uint64_t> total,
       std::uint64_t seed);

  std::optional<std::uint32_t> pick(bool counted) override;
  void release(std::uint32_t session) override;
  [[nodiscard]] std::optional<std::uint64_t> left() const override { return left_; }

  // A draw that looks neither at what is picked nor at what is left.
  std::uint32_t draw() { return sampler_.draw(random_); }

 private:
  load::ZipfSampler sampler_;
  std::vector<bool> picked_;
  std::size_t picked_count_ = 0;
  std::optional<std::uint64_t> left_;
  std::mt19937_64 random_;
};

}  // namespace dspool::loadtest
