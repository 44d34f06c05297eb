#include "engine/store/store_value.h"

#include <bit>
#include <cstring>

namespace dspool::store {
namespace {

using std::chrono::duration_cast;
using std::chrono::nanoseconds;
using std::chrono::system_clock;

static_assert(std::endian::native == std::endian::little);

}  // namespace

std::string encode_number(std::uint64_t number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

std::optional<std::uint64_t> decode_number(std::string_view bytes) {
  std::uint64_t number = 0;
  if (bytes.size() != sizeof number) return std::nullopt;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

std::string encode_time(system_clock::time_point time) {
  const nanoseconds since_epoch = duration_cast<nanoseconds>(time.time_since_epoch());
  return encode_number(static_cast<std::uint64_t>(since_epoch.count()));
}

std::optional<system_clock::time_point> decode_time(std::string_view bytes) {
  const auto number = decode_number(bytes);
  if (!number) return std::nullopt;
  const nanoseconds since_epoch(static_cast<std::int64_t>(*number));
  return system_clock::time_point(duration_cast<system_clock::duration>(since_epoch));
}

std::string encode_terms(const StoredTerms& terms) {
  return encode_number(static_cast<std::uint64_t>(terms.ttl.count())) + encode_time(terms.created);
}

std::optional<StoredTerms> decode_terms(std::string_view bytes) {
  constexpr std::size_t kNumberBytes = sizeof(std::uint64_t);
  if (bytes.size() != 2 * kNumberBytes) return std::nullopt;
  const auto ttl_ms = decode_number(bytes.substr(0, kNumberBytes));
  const auto created = decode_time(bytes.substr(kNumberBytes));
  return StoredTerms{.ttl = std::chrono::milliseconds(static_cast<std::int64_t>(*ttl_ms)),
                     .created = *created};
}

}  // namespace dspool::store
