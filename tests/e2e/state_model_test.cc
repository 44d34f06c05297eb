// Random puts, deletes, appends, ends of sessions, restarts and evictions, held against maps in
// memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/e2e/pool.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

constexpr int kSessions = 40;
constexpr int kKeys = 5;
constexpr int kSteps = 3'000;
constexpr int kRestarts = 4;

// A field as it should be.
struct ModelField {
  enum class Kind { kNumber, kText, kList } kind = Kind::kNumber;
  std::int64_t number = 0;
  std::string text = {};
  std::vector<std::int64_t> list = {};

  [[nodiscard]] Value value() const {
    switch (kind) {
      case Kind::kNumber:
        return Value::of(number);
      case Kind::kText:
        return Value::of(text);
      case Kind::kList:
        break;
    }
    std::vector<Value::Item> items(list.begin(), list.end());
    return Value::list(items);
  }
};

struct ModelSession {
  std::map<std::string, ModelField> fields;
  std::uint64_t version = 0;

  [[nodiscard]] std::string json() const {
    std::vector<Value> values;
    for (const auto& [key, field] : fields) values.push_back(field.value());
    std::vector<Value::Member> members;
    std::size_t i = 0;
    for (const auto& [key, field] : fields) members.emplace_back(key, values[i++]);
    return Value::map(members).to_json();
  }
};

class StateModelTest : public testing::Test {
 protected:
  StateModelTest() {
    config_.store.path = (directory_.path() / "store").string();
    config_.store.memory_limit = std::size_t{4} << 20;
    config_.history_events = 0;
  }

  int below(int limit) { return static_cast<int>(random_() % static_cast<unsigned>(limit)); }
  // Those with even numbers are `local`.
  static bool is_local(const std::string& id) { return (id.back() - '0') % 2 == 0; }

  void restart() {
    engine_.reset();
    engine_ = test::start_pool(config_);
    ASSERT_NE(engine_, nullptr);
    std::erase_if(model_, [](const auto& session) { return !is_local(session.first); });
  }

  void create(const std::string& id) {
    const auto created = engine_->create_session(
        id, {.ttl = std::chrono::milliseconds(0),
             .durability = is_local(id) ? Durability::kLocal : Durability::kMemory});
    ASSERT_TRUE(created) << created.error().describe();
    model_[id];
  }

  void change(const std::string& id) {
    ModelSession& session = model_[id];
    FieldUpdate update;
    std::map<std::string, ModelField> after = session.fields;
    for (int i = below(3) + 1; i > 0; --i) {
      const std::string key = "key-" + std::to_string(below(kKeys));
      const auto is_key = [&](const auto& field) { return field.first == key; };
      if (std::ranges::any_of(update.puts, is_key) || std::ranges::any_of(update.appends, is_key) ||
          std::ranges::count(update.deletes, key) != 0) {
        continue;
      }
      const auto there = after.find(key);
      const bool appends =
          there != after.end() && there->second.kind != ModelField::Kind::kNumber && below(3) != 0;
      if (appends) {
        ModelField more{.kind = there->second.kind};
        more.text = std::string(static_cast<std::size_t>(below(3'000)), 'a');
        for (int n = below(40); n > 0; --n) more.list.push_back(below(1'000'000));
        update.appends.emplace_back(key, more.value());
        there->second.text += more.kind == ModelField::Kind::kText ? more.text : std::string();
        if (more.kind == ModelField::Kind::kList) {
          there->second.list.insert(there->second.list.end(), more.list.begin(), more.list.end());
        }
      } else if (below(5) == 0) {
        update.deletes.push_back(key);
        after.erase(key);
      } else {
        ModelField field{.kind = static_cast<ModelField::Kind>(below(3)), .number = below(100)};
        if (field.kind == ModelField::Kind::kText) {
          field.text = std::string(static_cast<std::size_t>(below(60'000)), 'p');
        }
        update.puts.emplace_back(key, field.value());
        after[key] = field;
      }
    }
    const bool stale = below(20) == 0;
    const auto changed =
        engine_->update_fields(id, update, stale ? session.version + 1 : session.version);
    if (stale) {
      ASSERT_FALSE(changed);
      EXPECT_EQ(changed.error().code, "version_conflict");
      return;
    }
    ASSERT_TRUE(changed) << changed.error().describe();
    session.fields = std::move(after);
    ASSERT_EQ(changed->version, ++session.version);
  }

  void compare(const std::string& id) {
    const auto read = engine_->read_fields(id);
    if (!model_.contains(id)) {
      ASSERT_FALSE(read);
      EXPECT_EQ(read.error().code, "session_not_found");
      return;
    }
    ASSERT_TRUE(read) << read.error().describe();
    ASSERT_EQ(read->version, model_[id].version) << id;
    ASSERT_EQ(read->value.to_json(), model_[id].json()) << id;
  }

  const test::TemporaryDirectory directory_;
  Config config_ = test::pool_config(1);
  std::mt19937_64 random_{test::test_seed()};
  std::unique_ptr<Engine> engine_;
  std::map<std::string, ModelSession> model_;
};

TEST_F(StateModelTest, StateIsWhatTheModelSays) {
  std::uint64_t evicted = 0;
  for (int life = 0; life <= kRestarts; ++life) {
    restart();
    for (int step = 0; step < kSteps / (kRestarts + 1) && !HasFatalFailure(); ++step) {
      const std::string id = "session-" + std::to_string(below(kSessions));
      const int dice = below(100);
      if (!model_.contains(id)) {
        dice < 90 ? create(id) : compare(id);
      } else if (dice < 70) {
        change(id);
      } else if (dice < 98) {
        compare(id);
      } else {
        ASSERT_TRUE(engine_->end_session(id));
        model_.erase(id);
      }
    }
    evicted += engine_->stats().evicted_sessions;
    for (int i = 0; i < kSessions && !HasFatalFailure(); ++i) {
      compare("session-" + std::to_string(i));
    }
  }
  EXPECT_GT(evicted, 100U);
}

}  // namespace
}  // namespace dspool
