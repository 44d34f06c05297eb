#include "engine/dispatch/errand_writer.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstRecovery{50};
constexpr milliseconds kLongestBetweenRecoveries{2'000};

std::vector<Errand*> pointers(const Errands& errands) {
  std::vector<Errand*> all;
  all.reserve(errands.size());
  for (const auto& errand : errands) all.push_back(errand.get());
  return all;
}

// Takes those out for which `is_it` is true.
template <typename Predicate>
Errands take_if(Errands& errands, Predicate is_it) {
  Errands taken;
  for (auto& errand : errands) {
    if (is_it(*errand)) taken.push_back(std::move(errand));
  }
  std::erase(errands, nullptr);
  return taken;
}

bool ends_session(const Errand& errand) {
  return errand.kind == Errand::Kind::kRemove || errand.kind == Errand::Kind::kExpire;
}

}  // namespace

ErrandWriter::ErrandWriter(ErrandRunner& runner, telemetry::Log& log, telemetry::Metrics& metrics,
                           Tell tell)
    : runner_(runner), log_(log), metrics_(metrics), tell_(std::move(tell)) {}

void ErrandWriter::write(Errands group) {
  if (broken_) {
    hold_ends(group);
    for (const auto& errand : group) errand->error = {};
    return end(group, Errand::End::kNot);
  }
  const std::vector<Errand*> all = pointers(group);
  if (runner_.write(all)) {
    metrics_.store_writes.add(1);
    return tell_(all);
  }
  broken_ = true;
  delay_ = kFirstRecovery;
  metrics_.store_failures.add(1);
  log_.error("the durable store cannot be written: {}", group.front()->error.message);
  Errands parked =
      take_if(group, [](const Errand& errand) { return errand.kind == Errand::Kind::kPark; });
  end(parked, Errand::End::kNot);
  tell_(pointers(group));
  hold_ends(group);
  unknown_ = std::move(group);
}

milliseconds ErrandWriter::next_delay() noexcept {
  return std::exchange(delay_, std::min(2 * delay_, kLongestBetweenRecoveries));
}

void ErrandWriter::recover() {
  if (!runner_.recover()) return;
  const Errands settled =
      take_if(unknown_, [this](Errand& errand) { return runner_.settle(errand); });
  tell_(pointers(settled));
  if (!ends_.empty()) {
    metrics_.store_retries.add(ends_.size());
    if (!runner_.write(pointers(ends_))) return;
    const Errands written = std::exchange(ends_, {});
    tell_(pointers(written));
  }
  if (!unknown_.empty()) return;
  broken_ = false;
  log_.info("the durable store can be written again");
}

void ErrandWriter::abandon() {
  end(unknown_, Errand::End::kNot);
  end(ends_, Errand::End::kNot);
  broken_ = false;
}

void ErrandWriter::hold_ends(Errands& errands) {
  std::ranges::move(take_if(errands, ends_session), std::back_inserter(ends_));
}

void ErrandWriter::end(Errands& errands, Errand::End how) {
  for (const auto& errand : errands) errand->end = how;
  tell_(pointers(errands));
  errands.clear();
}

}  // namespace dspool::dispatch
