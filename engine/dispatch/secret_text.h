// A key for as long as it is in use: on pages that are in no core dump and in no fork, and that are
// wiped at its end.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "dspool/call.h"

namespace dspool::dispatch {

class SecretText {
 public:
  SecretText() = default;
  // std::bad_alloc: there is no such page.
  explicit SecretText(std::string_view text);
  SecretText(SecretText&& other) noexcept;
  SecretText& operator=(SecretText&& other) noexcept;
  ~SecretText();

  [[nodiscard]] std::string_view view() const noexcept { return {pages_, size_}; }

 private:
  char* pages_ = nullptr;  // none of an empty one
  std::size_t size_ = 0;
};

// Wipes the key in a copy of what a caller said, at the end of its life.
class KeyWiper {
 public:
  explicit KeyWiper(LanguageModel& model) noexcept : key_(model.api_key) {}
  KeyWiper(const KeyWiper&) = delete;
  KeyWiper& operator=(const KeyWiper&) = delete;
  ~KeyWiper();

 private:
  std::string& key_;
};

}  // namespace dspool::dispatch
