#include "engine/session/stored_id.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "engine/session/session.h"

namespace dspool::session {
namespace {

class StoredIdTest : public testing::TestWithParam<std::size_t> {};

TEST_P(StoredIdTest, KeepsEveryByteOfItsOwn) {
  std::string id(GetParam(), '\0');
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = static_cast<char>(i);
  const std::string expected = id;
  const StoredId stored(id);
  id.assign(id.size(), 'x');
  EXPECT_EQ(stored.view(), expected);
}

INSTANTIATE_TEST_SUITE_P(Lengths, StoredIdTest,
                         testing::Values(std::size_t{0}, std::size_t{1}, StoredId::kNearBytes,
                                         StoredId::kNearBytes + 1, SessionId::kMaxBytes));

TEST(SessionTest, HasItsIdInItsFirstCacheLine) {
  const SessionRef session = make_session(SessionId::generate(), TimePoint{});
  const auto start = reinterpret_cast<std::uintptr_t>(session.get());
  const std::string_view id = session->id();
  EXPECT_EQ(start % 64, 0U);
  EXPECT_LT(reinterpret_cast<std::uintptr_t>(id.data()) + id.size(), start + 64);
}

}  // namespace
}  // namespace dspool::session
