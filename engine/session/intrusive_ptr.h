// Shared ownership of an object that counts its own references: one pointer wide, and a reference
// can be made from the object itself.
//
// T brings `intrusive_retain(T*)` and `intrusive_release(T*)`, found by argument-dependent lookup;
// the latter destroys the object with its last reference. Counting is relaxed on the way up, and
// acquire-release on the way down.
//
// Thread safety: that of a raw pointer. The object's count is T's business.
#pragma once

#include <cstddef>
#include <utility>

namespace dspool::session {

template <typename T>
class IntrusivePtr {
 public:
  constexpr IntrusivePtr() noexcept = default;
  constexpr IntrusivePtr(std::nullptr_t) noexcept {}  // NOLINT(google-explicit-constructor)
  // A further reference to `object`, which may be null.
  explicit IntrusivePtr(T* object) noexcept : object_(object) {
    if (object_ != nullptr) intrusive_retain(object_);
  }
  // Takes over a reference that is already counted.
  [[nodiscard]] static IntrusivePtr adopt(T* object) noexcept {
    IntrusivePtr pointer;
    pointer.object_ = object;
    return pointer;
  }

  IntrusivePtr(const IntrusivePtr& other) noexcept : IntrusivePtr(other.object_) {}
  IntrusivePtr(IntrusivePtr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  IntrusivePtr& operator=(IntrusivePtr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~IntrusivePtr() {
    if (object_ != nullptr) intrusive_release(object_);
  }

  void reset() noexcept { *this = IntrusivePtr(); }
  // Gives the reference away, still counted; the counterpart of `adopt`.
  [[nodiscard]] T* detach() noexcept { return std::exchange(object_, nullptr); }

  [[nodiscard]] T* get() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

  friend bool operator==(const IntrusivePtr&, const IntrusivePtr&) noexcept = default;

 private:
  T* object_ = nullptr;
};

}  // namespace dspool::session
