#include "tests/model/execution.h"

#include <cassert>
#include <utility>

namespace dspool::model {
namespace {

// A program that takes more steps than this goes round in circles.
constexpr std::size_t kMaxSteps = 1000;

thread_local Execution* current_execution = nullptr;

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {  // as splitmix64 does
  hash += value + 0x9e3779b97f4a7c15;
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  return hash ^ (hash >> 31);
}

}  // namespace

Execution::Execution(Path& path, Explored& explored)
    : outer_(std::exchange(current_execution, this)), path_(path), explored_(explored) {
  threads_.push_back({.name = "setup"});
}

Execution::~Execution() { current_execution = outer_; }

Execution& Execution::current() {
  assert(current_execution != nullptr);
  return *current_execution;
}

// ---- running ----

void Execution::add_thread(std::string name, std::function<void()> body) {
  const Thread thread = threads_.size();
  threads_.push_back({.name = std::move(name)});
  memory_.begin(0, thread);
  explored_.fibers.at(thread).start(std::move(body));
}

void Execution::run() {
  const auto advance = [this](Thread thread) {
    running_ = thread;
    explored_.fibers.at(thread).resume();
    running_ = 0;
  };
  for (Thread thread = 1; thread < threads_.size(); ++thread) advance(thread);  // to its first step
  while (failure_.empty() && is_new_state()) {
    std::vector<Thread> able;
    bool all_ended = true;
    for (Thread thread = 1; thread < threads_.size(); ++thread) {
      all_ended = all_ended && explored_.fibers.at(thread).has_ended();
      if (can_step(thread)) able.push_back(thread);
    }
    if (all_ended) {
      if (at_end_) at_end_();
      return;
    }
    if (able.empty()) return fail(who_is_blocked());
    if (steps_.size() > kMaxSteps) return fail("the program goes round in circles");
    advance(able[choose(able.size())]);
  }
}

std::size_t Execution::choose(std::size_t count) {
  if (count == 1) return 0;
  if (chosen_ == path_.size()) path_.push_back({.taken = 0, .count = count});
  assert(path_[chosen_].count == count);
  return path_[chosen_++].taken;
}

// While the path is walked again its states are known, and what follows them is not.
bool Execution::is_new_state() {
  if (chosen_ < path_.size()) return true;
  std::uint64_t state = 0;
  for (const Modelled& thread : threads_) state = mix(state, thread.history);
  return explored_.states.insert(state).second;
}

bool Execution::can_step(Thread thread) const {
  const Modelled& modelled = threads_[thread];
  if (explored_.fibers.at(thread).has_ended() || modelled.asleep_on) return false;
  return !modelled.awaits ||
         memory_.value(*modelled.awaits, memory_.newest(*modelled.awaits)) != modelled.value;
}

void Execution::begin_step() {
  if (running_ != 0) explored_.fibers.at(running_).yield();
}

void Execution::end_step(const char* what, Location location, std::uint64_t value, Stamp stamp) {
  std::uint64_t& history = threads_[running_].history;
  for (const std::uint64_t seen : {std::uint64_t{location}, value, std::uint64_t{stamp}}) {
    history = mix(history, seen);
  }
  steps_.push_back({running_, what, location, value, stamp, memory_.newest(location)});
}

// ---- steps ----

Location Execution::add_location(std::uint64_t initial) {
  names_.push_back("word " + std::to_string(names_.size()));
  return memory_.add_location(initial);
}

std::uint64_t Execution::load(Location location, std::memory_order order) {
  begin_step();
  const Stamp newest = memory_.newest(location);
  const Stamp oldest = memory_.oldest_readable(running_, location, order);
  const auto age = static_cast<Stamp>(choose(std::size_t{newest} - oldest + 1));
  const auto stamp = static_cast<Stamp>(newest - age);
  const std::uint64_t value = memory_.load(running_, location, stamp, order);
  end_step("loads", location, value, stamp);
  return value;
}

void Execution::store(Location location, std::uint64_t value, std::memory_order order) {
  begin_step();
  memory_.store(running_, location, value, order);
  end_step("stores", location, value, memory_.newest(location));
}

std::uint64_t Execution::modify(Location location, const char* what,
                                const std::function<std::uint64_t(std::uint64_t)>& change,
                                std::memory_order order) {
  begin_step();
  const std::uint64_t replaced = memory_.modify(running_, location, change, order);
  const Stamp stamp = memory_.newest(location);
  end_step(what, location, memory_.value(location, stamp), stamp);
  return replaced;
}

std::uint64_t Execution::await_change(Location location, std::uint64_t value,
                                      std::memory_order order) {
  assert(running_ != 0);
  Modelled& thread = threads_[running_];
  thread.awaits = location;
  thread.value = value;
  begin_step();
  thread.awaits.reset();
  const Stamp stamp = memory_.newest(location);
  const std::uint64_t changed = memory_.load(running_, location, stamp, order);
  end_step("sees changed", location, changed, stamp);
  return changed;
}

// The kernel looks at the word and queues the sleeper as one step.
void Execution::sleep(Location location, std::optional<std::uint64_t> expected) {
  assert(running_ != 0);
  const std::uint64_t value = load(location, std::memory_order_seq_cst);
  if (expected && value != *expected) return;
  threads_[running_].asleep_on = location;
  begin_step();
  end_step("is woken on", location, 0, memory_.newest(location));
}

void Execution::wake_one(Location location) {
  begin_step();
  memory_.make_visible(running_, location);
  Thread woken = 0;
  for (Thread thread = 1; thread < threads_.size() && woken == 0; ++thread) {
    if (threads_[thread].asleep_on == location) woken = thread;
  }
  threads_[woken].asleep_on.reset();
  const char* const what = woken == 0 ? "wakes nobody on" : "wakes a sleeper on";
  end_step(what, location, woken, memory_.newest(location));
}

// ---- failing ----

void Execution::require(bool holds, const std::string& what) {
  if (!holds) fail(what);
}

void Execution::write_cells(std::size_t begin, std::size_t end) {
  bool ordered = true;
  for (std::size_t cell = begin; cell < end; ++cell) {
    ordered = memory_.write_cell(running_, cell) && ordered;
  }
  require(ordered, "bytes were overwritten that may still be read or written");
}

void Execution::read_cells(std::size_t begin, std::size_t end) {
  bool ordered = true;
  for (std::size_t cell = begin; cell < end; ++cell) {
    ordered = memory_.read_cell(running_, cell) && ordered;
  }
  require(ordered, "bytes were read that may not have been written yet");
}

void Execution::fail(const std::string& what) {
  if (!failure_.empty()) return;
  failure_ = what + "\n";
  for (const Step& step : steps_) failure_ += describe(step);
  if (running_ != 0) explored_.fibers.at(running_).yield();  // for ever
}

std::string Execution::who_is_blocked() const {
  std::string who;
  for (const Modelled& thread : threads_) {
    if (thread.asleep_on) who += thread.name + " sleeps for ever on " + names_[*thread.asleep_on];
    if (thread.awaits) who += thread.name + " waits for ever for " + names_[*thread.awaits];
    if (thread.asleep_on || thread.awaits) who += "; ";
  }
  return who;
}

std::string Execution::describe(const Step& step) const {
  std::string text = "  " + threads_[step.thread].name + " " + step.what + " " +
                     names_[step.location] + ": " + std::to_string(step.value);
  if (step.stamp < step.newest) {
    text += ", which is " + std::to_string(step.newest - step.stamp) + " stores old";
  }
  return text + "\n";
}

}  // namespace dspool::model
