#include "engine/session/intrusive_ptr.h"

#include <gtest/gtest.h>

#include <utility>

namespace dspool::session {
namespace {

struct Counted {
  int references = 0;
};
void intrusive_retain(Counted* counted) { ++counted->references; }
void intrusive_release(Counted* counted) { --counted->references; }

using Pointer = IntrusivePtr<Counted>;

TEST(IntrusivePtrTest, CountsItsCopies) {
  Counted counted;
  {
    const Pointer first(&counted);
    EXPECT_EQ(counted.references, 1);
    const Pointer second = first;  // NOLINT(performance-unnecessary-copy-initialization)
    EXPECT_EQ(counted.references, 2);
    EXPECT_EQ(first, second);
  }
  EXPECT_EQ(counted.references, 0);
}

TEST(IntrusivePtrTest, MovesItsReference) {
  Counted counted;
  Pointer first(&counted);
  Pointer second = std::move(first);
  EXPECT_EQ(counted.references, 1);
  EXPECT_EQ(first.get(), nullptr);  // NOLINT(bugprone-use-after-move)
  first = std::move(second);
  EXPECT_EQ(counted.references, 1);
  EXPECT_EQ(first.get(), &counted);
}

TEST(IntrusivePtrTest, AssignmentGivesTheFormerReferenceBack) {
  Counted a;
  Counted b;
  Pointer pointer(&a);
  pointer = Pointer(&b);
  EXPECT_EQ(a.references, 0);
  EXPECT_EQ(b.references, 1);
  const Pointer& itself = pointer;
  pointer = itself;
  EXPECT_EQ(b.references, 1);
  pointer.reset();
  EXPECT_EQ(b.references, 0);
  EXPECT_FALSE(pointer);
}

TEST(IntrusivePtrTest, DetachAndAdoptKeepTheCount) {
  Counted counted;
  Pointer pointer(&counted);
  Counted* const raw = pointer.detach();
  EXPECT_FALSE(pointer);
  EXPECT_EQ(counted.references, 1);
  pointer = Pointer::adopt(raw);
  EXPECT_EQ(counted.references, 1);
}

TEST(IntrusivePtrTest, NullRefersToNothing) {
  const Pointer null;
  const Pointer from_raw(static_cast<Counted*>(nullptr));
  EXPECT_EQ(null, from_raw);
  EXPECT_FALSE(null);
}

}  // namespace
}  // namespace dspool::session
