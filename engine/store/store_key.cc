#include "engine/store/store_key.h"

namespace dspool::store {
namespace {

constexpr char kEscape = '\0';
constexpr char kEscapedNul = '\xFF';
constexpr char kTerminator = '\x01';

}  // namespace

std::string store_key(RecordKind kind, std::string_view id) {
  std::string key;
  key.reserve(id.size() + 3);
  key.push_back(static_cast<char>(kind));
  for (const char byte : id) {
    key.push_back(byte);
    if (byte == kEscape) key.push_back(kEscapedNul);
  }
  key.push_back(kEscape);
  key.push_back(kTerminator);
  return key;
}

std::string first_key(RecordKind kind) { return {static_cast<char>(kind)}; }

std::string end_key(RecordKind kind) { return {static_cast<char>(static_cast<char>(kind) + 1)}; }

std::string id_of_key(std::string_view key) {
  std::string id;
  for (std::size_t i = 1; i < key.size(); ++i) {
    id.push_back(key[i]);
    if (key[i] != kEscape) continue;
    if (++i < key.size() && key[i] == kEscapedNul) continue;
    id.pop_back();
    break;
  }
  return id;
}

}  // namespace dspool::store
