#include "ipc/payload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <random>
#include <thread>

#include "ipc/payload_view.h"
#include "tests/ipc/pattern.h"
#include "tests/support/seed.h"

namespace dspool::ipc {
namespace {

using testing::HasSubstr;

constexpr std::size_t kSlabBytes = std::size_t{1} << 20;

class PayloadTest : public testing::Test {
 protected:
  std::unique_ptr<PayloadView> view_of(const Payload& payload) {
    const int descriptor =
        payload.place().in_slab ? store_->slab_descriptor() : payload.descriptor();
    return PayloadView::map(descriptor, payload.place()).value();
  }

  std::unique_ptr<PayloadStore> store_ = PayloadStore::create(kSlabBytes).value();
  const std::size_t slots_ = kSlabBytes / PayloadStore::kSlotBytes;
};

TEST_F(PayloadTest, IsSeenWhereItLies) {
  for (const std::size_t size : {0UL, 1UL, 100'000UL, kSlabBytes - 64, kSlabBytes, 5'000'000UL}) {
    const auto body = pattern(size, size);
    const auto payload = store_->place(body).value();
    EXPECT_EQ(payload->place().in_slab, size + sizeof(PayloadHeader) <= kSlabBytes) << size;
    EXPECT_TRUE(std::ranges::equal(view_of(*payload)->bytes(), body)) << size;
  }
  EXPECT_EQ(store_->free_slots(), slots_);
}

TEST_F(PayloadTest, WithoutASlabHasAMemfdOfItsOwn) {
  store_ = PayloadStore::create(0).value();
  EXPECT_EQ(store_->slab_descriptor(), -1);
  const auto body = pattern(100'000, 1);
  const auto payload = store_->place(body).value();
  EXPECT_FALSE(payload->place().in_slab);
  EXPECT_TRUE(std::ranges::equal(view_of(*payload)->bytes(), body));
}

TEST_F(PayloadTest, NobodyElseCanWriteToTheSlab) {
  EXPECT_EQ(
      ::mmap(nullptr, kSlabBytes, PROT_READ | PROT_WRITE, MAP_SHARED, store_->slab_descriptor(), 0),
      MAP_FAILED);
  EXPECT_EQ(errno, EPERM);
}

TEST_F(PayloadTest, GivesItsSlotsBackAndIsNotFoundThereAnyMore) {
  auto payload = store_->place(pattern(100'000, 1)).value();
  const PayloadPlace place = payload->place();
  EXPECT_LT(store_->free_slots(), slots_);
  payload.reset();
  EXPECT_EQ(store_->free_slots(), slots_);
  const auto view = PayloadView::map(store_->slab_descriptor(), place);
  ASSERT_FALSE(view);
  EXPECT_EQ(view.error().kind, FaultKind::kViolation);
}

TEST_F(PayloadTest, AViewThatIsKeptStaysWhatItWas) {
  const auto body = pattern(100'000, 1);
  auto payload = store_->place(body).value();
  const auto view = view_of(*payload);
  const std::byte* const address = view->bytes().data();
  ASSERT_TRUE(view->keep());
  payload.reset();
  std::vector<std::shared_ptr<const Payload>> others;  // in all slots
  for (std::size_t i = 0; i < slots_; ++i) others.push_back(store_->place(pattern(10, 9)).value());
  EXPECT_EQ(view->bytes().data(), address);
  EXPECT_TRUE(std::ranges::equal(view->bytes(), body));
}

// Payloads of all sizes come and go in several threads; none is where another is.
TEST_F(PayloadTest, NoTwoShareASlot) {
  const auto come_and_go = [this](std::uint64_t seed) {
    std::minstd_rand random(static_cast<std::uint32_t>(seed));
    std::vector<std::pair<std::shared_ptr<const Payload>, std::vector<std::byte>>> held;
    for (int i = 0; i < 400; ++i) {
      auto body = pattern(random() % 200'000, random());
      auto payload = store_->place(body).value();
      held.emplace_back(std::move(payload), std::move(body));
      if (held.size() > 6) held.erase(held.begin() + static_cast<std::ptrdiff_t>(random() % 6));
      const auto& [some, expected] = held[random() % held.size()];
      ASSERT_TRUE(std::ranges::equal(view_of(*some)->bytes(), expected));
    }
  };
  std::vector<std::thread> threads;
  for (std::uint64_t i = 1; i <= 3; ++i) threads.emplace_back(come_and_go, test::test_seed() + i);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store_->free_slots(), slots_);
}

TEST(PayloadStoreTest, SaysHowMuchMemoryIsMissing) {
  const auto store = PayloadStore::create(std::size_t{1} << 50);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().kind, FaultKind::kNoMemory);
  EXPECT_THAT(store.error().what, HasSubstr("MiB"));
}

}  // namespace
}  // namespace dspool::ipc
