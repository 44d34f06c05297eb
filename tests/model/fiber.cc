#include "tests/model/fiber.h"

#include <cassert>
#include <cstdint>
#include <utility>

namespace dspool::model {
namespace {

constexpr std::size_t kStackBytes = std::size_t{64} * 1024;

}  // namespace

Fiber::Fiber() : stack_(std::make_unique<std::byte[]>(kStackBytes)) {}

void Fiber::start(std::function<void()> body) {
  body_ = std::move(body);
  ended_ = false;
  ::getcontext(&inside_);
  inside_.uc_stack.ss_sp = stack_.get();
  inside_.uc_stack.ss_size = kStackBytes;
  inside_.uc_link = nullptr;
  // makecontext passes ints only: an address in two halves.
  const auto self = reinterpret_cast<std::uintptr_t>(this);
  ::makecontext(&inside_, reinterpret_cast<void (*)()>(&Fiber::enter), 2,
                static_cast<unsigned>(self >> 32), static_cast<unsigned>(self));
}

void Fiber::resume() {
  assert(!ended_);
  ::swapcontext(&outside_, &inside_);
}

void Fiber::yield() { ::swapcontext(&inside_, &outside_); }

void Fiber::enter(unsigned high, unsigned low) {
  const auto self = (std::uintptr_t{high} << 32) | low;
  auto& fiber = *reinterpret_cast<Fiber*>(self);
  fiber.body_();
  fiber.ended_ = true;
  fiber.yield();  // never resumed
}

}  // namespace dspool::model
