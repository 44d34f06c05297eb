#include "engine/dispatch/secret_text.h"

#include <strings.h>
#include <sys/mman.h>

#include <cstring>
#include <new>
#include <utility>

namespace dspool::dispatch {

SecretText::SecretText(std::string_view text) : size_(text.size()) {
  if (text.empty()) return;
  void* const pages =
      ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) throw std::bad_alloc();
  if (::madvise(pages, size_, MADV_DONTDUMP) != 0 || ::madvise(pages, size_, MADV_DONTFORK) != 0) {
    ::munmap(pages, size_);
    throw std::bad_alloc();
  }
  pages_ = static_cast<char*>(pages);
  std::memcpy(pages_, text.data(), size_);
}

SecretText::SecretText(SecretText&& other) noexcept
    : pages_(std::exchange(other.pages_, nullptr)), size_(std::exchange(other.size_, 0)) {}

SecretText& SecretText::operator=(SecretText&& other) noexcept {
  std::swap(pages_, other.pages_);
  std::swap(size_, other.size_);
  return *this;
}

SecretText::~SecretText() {
  if (pages_ == nullptr) return;
  ::explicit_bzero(pages_, size_);
  ::munmap(pages_, size_);
}

KeyWiper::~KeyWiper() {
  ::explicit_bzero(key_.data(), key_.size());
  key_.clear();
}

}  // namespace dspool::dispatch
