// What a std::atomic is in a model: the same operations, each of them a step of the Execution.
// A saboteur may weaken one of them, to plant the bug of a weaker one in the code that uses it.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "ipc/futex.h"
#include "tests/model/execution.h"

namespace dspool::model {

// How an atomic differs from what the code asks of it.
struct Sabotage {
  std::optional<std::memory_order> load = {};  // orders to use instead
  std::optional<std::memory_order> store = {};
  std::optional<std::memory_order> modify = {};
  bool loads_at_every_use = false;       // what was loaded is loaded again wherever it is used
  bool never_changes = false;            // a fetch_add adds nothing
  bool sleeps_on_what_there_is = false;  // a sleeper does not compare
};

template <typename T>
class Atomic;

// What a load gave: a value.
template <typename T>
class Loaded {
 public:
  Loaded(const Atomic<T>& source, std::memory_order order)
      : source_(source), order_(order), value_(source.read(order)) {}
  // Implicit, as what std::atomic gives is a T.
  operator T() const {  // NOLINT(google-explicit-constructor)
    return source_.sabotage().loads_at_every_use ? source_.read(order_) : value_;
  }

 private:
  const Atomic<T>& source_;
  std::memory_order order_;
  T value_;
};

template <typename T>
class Atomic {
 public:
  Atomic(T initial = {})  // NOLINT(google-explicit-constructor): as std::atomic
      : location_(Execution::current().add_location(initial)) {}
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  void set_name(std::string name) { Execution::current().set_name(location_, std::move(name)); }
  void plant(const Sabotage& sabotage) { sabotage_ = sabotage; }
  [[nodiscard]] const Sabotage& sabotage() const noexcept { return sabotage_; }

  Loaded<T> load(std::memory_order order) const { return {*this, order}; }
  void store(T value, std::memory_order order) {
    Execution::current().store(location_, value, sabotage_.store.value_or(order));
  }
  T exchange(T value, std::memory_order order) {
    return modify(
        "exchanges", [value](std::uint64_t) { return value; }, order);
  }
  T fetch_add(T value, std::memory_order order) {
    const T added = sabotage_.never_changes ? T{0} : value;
    const auto add = [added](std::uint64_t old) { return static_cast<T>(old + added); };
    return modify("adds to", add, order);
  }
  // Looks again and again until it is no longer `value`.
  T await_change(T value, std::memory_order order) const {
    return static_cast<T>(Execution::current().await_change(location_, value, order));
  }

  [[nodiscard]] T read(std::memory_order order) const {
    return static_cast<T>(Execution::current().load(location_, sabotage_.load.value_or(order)));
  }

  // Found by the code under test as those of ipc/futex.h are for a std::atomic.
  friend ipc::FutexWait futex_wait(const Atomic& word, std::uint32_t expected,
                                   std::chrono::nanoseconds /*limit*/) noexcept {
    std::optional<std::uint64_t> compared = expected;
    if (word.sabotage_.sleeps_on_what_there_is) compared.reset();
    Execution::current().sleep(word.location_, compared);
    return ipc::FutexWait::kWoken;
  }
  friend void futex_wake_one(Atomic& word) noexcept {
    Execution::current().wake_one(word.location_);
  }

 private:
  template <typename Change>
  T modify(const char* what, const Change& change, std::memory_order order) {
    return static_cast<T>(
        Execution::current().modify(location_, what, change, sabotage_.modify.value_or(order)));
  }

  const Location location_;
  Sabotage sabotage_;
};

}  // namespace dspool::model
