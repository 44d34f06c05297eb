#include "bench/loadtest/session_picker.h"

#include <numeric>
#include <utility>

namespace dspool::loadtest {
namespace {

// Draws before the next free session is taken as it comes: only when most are picked.
constexpr int kMostDraws = 16;

}  // namespace

RoundRobin::RoundRobin(std::uint32_t sessions, std::optional<std::uint64_t> operations)
    : left_(operations ? sessions : 0, operations.value_or(0)), count_all_(false) {
  if (operations) total_left_ = *operations * sessions;
  waiting_.resize(sessions);
  std::iota(waiting_.begin(), waiting_.end(), 0U);
}

RoundRobin::RoundRobin(std::vector<std::uint64_t> operations)
    : left_(std::move(operations)),
      total_left_(std::accumulate(left_.begin(), left_.end(), std::uint64_t{0})),
      count_all_(true) {
  for (std::uint32_t session = 0; session < left_.size(); ++session) {
    if (left_[session] > 0) waiting_.push_back(session);
  }
}

std::optional<std::uint32_t> RoundRobin::pick(bool counted) {
  if (waiting_.empty()) return std::nullopt;
  const std::uint32_t session = waiting_.front();
  waiting_.pop_front();
  if (total_left_ && (counted || count_all_)) {
    --left_[session];
    --*total_left_;
  }
  return session;
}

void RoundRobin::release(std::uint32_t session) {
  if (!total_left_ || left_[session] > 0) waiting_.push_back(session);
}

Zipf::Zipf(std::uint32_t sessions, double exponent, std::optional<std::uint64_t> total,
           std::uint64_t seed)
    : sampler_(sessions, exponent), picked_(sessions), left_(total), random_(seed) {}

std::optional<std::uint32_t> Zipf::pick(bool counted) {
  if (picked_count_ == picked_.size()) return std::nullopt;
  if (counted && left_) {
    if (*left_ == 0) return std::nullopt;
    --*left_;
  }
  std::uint32_t session = draw();
  for (int draws = 1; picked_[session] && draws < kMostDraws; ++draws) session = draw();
  while (picked_[session]) session = (session + 1) % static_cast<std::uint32_t>(picked_.size());
  picked_[session] = true;
  ++picked_count_;
  return session;
}

void Zipf::release(std::uint32_t session) {
  picked_[session] = false;
  --picked_count_;
}

}  // namespace dspool::loadtest
