#include "bench/loadtest/schedule.h"

#include <utility>

namespace dspool::loadtest {
namespace {

constexpr std::chrono::milliseconds kLookAgain{1};

}  // namespace

ClosedLoop::ClosedLoop(std::unique_ptr<SessionPicker> picker, std::uint32_t sessions,
                       std::uint32_t concurrency, Window window)
    : picker_(std::move(picker)), started_(sessions), concurrency_(concurrency), window_(window) {}

std::optional<Start> ClosedLoop::next(Elapsed now) {
  ended_ = ended_ || now >= window_.end;
  if (ended_ || outstanding_ == concurrency_) return std::nullopt;
  const bool measured = now >= window_.warmup;
  const std::optional<std::uint32_t> session = picker_->pick(measured);
  if (!session) return std::nullopt;
  ++outstanding_;
  return Start{
      .session = *session, .index = started_[*session]++, .intended = now, .measured = measured};
}

void ClosedLoop::ended(std::uint32_t session) {
  --outstanding_;
  picker_->release(session);
}

bool ClosedLoop::done() const { return ended_ || picker_->left() == std::uint64_t{0}; }

OpenLoop::OpenLoop(std::unique_ptr<SessionPicker> picker, std::uint32_t sessions, double rate,
                   Window window, std::uint64_t seed)
    : picker_(std::move(picker)),
      started_(sessions),
      gap_seconds_(rate),
      random_(seed),
      window_(window),
      next_at_(0) {}

std::optional<Start> OpenLoop::next(Elapsed now) {
  if (ended_ || next_at_ > now) return std::nullopt;
  const bool measured = next_at_ >= window_.warmup;
  const std::optional<std::uint32_t> session =
      next_at_ < window_.end ? picker_->pick(measured) : std::nullopt;
  if (!session) {
    ended_ = true;
    return std::nullopt;
  }
  picker_->release(*session);
  const Start start{.session = *session,
                    .index = started_[*session]++,
                    .intended = next_at_,
                    .measured = measured};
  next_at_ +=
      std::chrono::duration_cast<Elapsed>(std::chrono::duration<double>(gap_seconds_(random_)));
  return start;
}

Replay::Replay(const std::vector<load::Arrival>& arrivals, double speedup, Window window)
    : arrivals_(arrivals), speedup_(speedup), window_(window) {}

std::optional<Elapsed> Replay::next_at() const {
  if (done()) return std::nullopt;
  return std::chrono::duration_cast<Elapsed>(arrivals_[next_].at / speedup_);
}

bool Replay::done() const { return next_ == arrivals_.size(); }

std::optional<Start> Replay::next(Elapsed now) {
  const std::optional<Elapsed> at = next_at();
  if (!at || *at > now) return std::nullopt;
  if (*at >= window_.end) {
    next_ = arrivals_.size();
    return std::nullopt;
  }
  const std::size_t index = next_++;
  return Start{.session = arrivals_[index].session,
               .index = index,
               .intended = *at,
               .measured = *at >= window_.warmup};
}

HeldBack::HeldBack(std::unique_ptr<Schedule> schedule, std::uint64_t limit,
                   std::function<bool()> open, Elapsed patience)
    : schedule_(std::move(schedule)), left_(limit), open_(std::move(open)), patience_(patience) {}

std::optional<Start> HeldBack::next(Elapsed now) {
  look_at_.reset();
  if (left_ == 0 && is_held(now)) {
    look_at_ = now + kLookAgain;
    return std::nullopt;
  }
  const std::optional<Start> start = schedule_->next(now);
  if (start && left_ > 0) --left_;
  return start;
}

bool HeldBack::is_held(Elapsed now) {
  if (!held_since_) held_since_ = now;
  return now - *held_since_ < patience_ && !open_();
}

std::optional<Elapsed> HeldBack::next_at() const {
  return look_at_ ? look_at_ : schedule_->next_at();
}

}  // namespace dspool::loadtest
