#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "ipc/layout.h"
#include "tests/python_worker/worker_harness.h"

namespace dspool::python {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

std::vector<std::uint8_t> args(const std::string& key, const std::string& value) {
  return flex_map([&](flexbuffers::Builder& map) { map.String(key.c_str(), value); });
}

TEST(WorkerCallTest, EchoesEveryKindOfValue) {
  WorkerHarness worker;
  const auto everything = flex_map([](flexbuffers::Builder& map) {
    map.Null("null");
    map.Bool("bool", true);
    map.Int("int", -5'000'000'000);
    map.UInt("uint", 7);
    map.Double("double", 0.1);
    map.String("text", "zwölf");
    map.Vector("list", [&] {
      map.Int(1);
      map.String("two");
      map.Vector([] {});
    });
    const double typed[] = {1.5, 2.5};
    map.Vector("typed", typed, 2);
    const int fixed[] = {1, 2, 3};
    map.FixedTypedVector("fixed", fixed, 3);
    map.IndirectInt("indirect", 9);
    map.Map("map", [&] { map.Bool("x", false); });
  });
  std::string expected;
  flexbuffers::GetRoot(everything).ToString(true, true, expected);
  EXPECT_EQ(worker.call(Call{.command = "echo", .args = everything}).result_json(), expected);
}

TEST(WorkerCallTest, EchoesTheDeepestValueThereIs) {
  WorkerHarness worker;
  const auto nested = flex_map([](flexbuffers::Builder& map) {
    const std::function<void(int)> wrap = [&](int lists) {
      if (lists == 0) {
        map.String("text");
      } else {
        map.Vector([&] { wrap(lists - 1); });
      }
    };
    map.Key("value");
    wrap(63);
  });
  std::string expected;
  flexbuffers::GetRoot(nested).ToString(true, true, expected);
  EXPECT_EQ(worker.call(Call{.command = "echo", .args = nested}).result_json(), expected);
}

TEST(WorkerCallTest, AnswersHowLongTheCommandTook) {
  WorkerHarness worker;
  EXPECT_GT(worker.call(Call{.command = "echo"}).response().service_ns(), 0U);
}

TEST(WorkerCallTest, RepeatsTheAttempt) {
  WorkerHarness worker;
  EXPECT_EQ(worker.call(Call{.command = "echo", .attempt = 3}).response().attempt(), 3U);
}

TEST(WorkerCallTest, OffersOptionalArguments) {
  WorkerHarness worker;
  EXPECT_EQ(worker.call(Call{.command = "greet", .args = args("name", "Ada")}).result_json(),
            "\"Dear Ada\"");
  const auto impolite = flex_map([](flexbuffers::Builder& map) {
    map.String("name", "Ada");
    map.Bool("polite", false);
  });
  EXPECT_EQ(worker.call(Call{.command = "greet", .args = impolite}).result_json(), "\"Ada\"");
}

TEST(WorkerCallTest, AnonymousCallsShareNothing) {
  WorkerHarness worker;
  const auto put = flex_map([](flexbuffers::Builder& map) {
    map.String("key", "a");
    map.Int("value", 1);
  });
  EXPECT_EQ(worker.call(Call{.command = "put", .args = put}).response().delta(), nullptr);
  EXPECT_EQ(worker.call(Call{.command = "fields"}).result_json(), "{  }");
  EXPECT_EQ(worker.call(Call{.command = "session_id"}).result_json(), "\"\"");
}

TEST(WorkerCallTest, TellsTheTimeLeft) {
  WorkerHarness worker;
  EXPECT_TRUE(worker.call(Call{.command = "time_left"}).result().IsNull());
  const std::uint64_t in_an_hour = monotonic_ns() + 3600ULL * 1'000'000'000;
  const double left =
      worker.call(Call{.command = "time_left", .deadline_ns = in_an_hour}).result().AsDouble();
  EXPECT_GT(left, 3000);
  EXPECT_LE(left, 3600);
}

TEST(WorkerCallTest, DoesNotBeginWhatHasExpired) {
  WorkerHarness worker;
  for (const char* command : {"keep_session", "no_such_command"}) {
    const Reply reply = worker.call(Call{.command = command, .deadline_ns = 1});
    EXPECT_EQ(reply.response().status(), wire::Status::cancelled);
    EXPECT_EQ(reply.response().result(), nullptr);
    EXPECT_EQ(reply.response().error(), nullptr);
    EXPECT_EQ(reply.response().delta(), nullptr);
  }
  EXPECT_EQ(worker.call(Call{.command = "keep_session"}).result_json(), "[  ]") << "it ran";
}

// What lies behind a long command may have expired when its turn comes.
TEST(WorkerCallTest, DoesNotBeginWhatExpiredInTheRing) {
  WorkerHarness worker;
  // Long enough for the first to begin in time on a machine that is busy with other things.
  const std::uint64_t soon_ns = monotonic_ns() + 2'000'000'000;
  worker.send(
      Call{.command = "time_left", .args = uint_args("at_ns", soon_ns), .deadline_ns = soon_ns});
  const std::uint64_t behind = worker.send(Call{.command = "keep_session", .deadline_ns = soon_ns});
  EXPECT_EQ(worker.receive().result().AsDouble(), 0) << "begun in time, so it ends";
  const Reply reply = worker.receive();
  EXPECT_EQ(reply.request_id, behind);
  EXPECT_EQ(reply.response().status(), wire::Status::cancelled);
  EXPECT_EQ(worker.call(Call{.command = "keep_session"}).result_json(), "[  ]") << "it ran";
}

TEST(WorkerCallTest, DoesNotBeginWhatWasTakenBack) {
  WorkerHarness worker;
  for (const std::uint64_t deadline_ns : {std::uint64_t{0}, std::uint64_t{1}}) {
    const Reply reply =
        worker.call(Call{.command = "keep_session", .deadline_ns = deadline_ns, .recalled = true});
    EXPECT_EQ(reply.response().status(), wire::Status::recalled);
    EXPECT_EQ(reply.response().result(), nullptr);
    EXPECT_EQ(reply.response().delta(), nullptr);
  }
  EXPECT_EQ(worker.call(Call{.command = "keep_session"}).result_json(), "[  ]") << "it ran";
}

TEST(WorkerCallTest, PrintsReachTheLogAndNotTheChannel) {
  WorkerHarness worker;
  EXPECT_EQ(worker.call(Call{.command = "print_noise"}).result_json(), "\"quiet\"");
  const int out = worker.process().standard_output();
  EXPECT_EQ(worker.read_output(out, "noise on stdout"), "noise on stdout\n");
  const int error = worker.process().standard_error();
  EXPECT_THAT(worker.read_output(error, "noise on stderr"), HasSubstr("noise on stderr\n"));
}

TEST(WorkerCallTest, AnswersAPing) {
  WorkerHarness worker;
  worker.send(wire::MessageType::ping, 77);
  const Reply reply = worker.receive();
  EXPECT_EQ(reply.type, wire::MessageType::pong);
  EXPECT_EQ(reply.request_id, 77U);
}

TEST(WorkerCallTest, RunsAsManyAtOnceAsItMay) {
  WorkerHarness worker({.max_in_flight = 4});
  std::set<std::uint64_t> expected;
  for (int i = 0; i < 4; ++i) expected.insert(worker.send(Call{.command = "meet"}));
  std::set<std::uint64_t> answered;
  for (int i = 0; i < 4; ++i) {
    const Reply reply = worker.receive();
    EXPECT_LT(reply.result().AsInt64(), 4) << "the four never met";
    answered.insert(reply.request_id);
  }
  EXPECT_EQ(answered, expected);
  worker.send(wire::MessageType::drain);
  EXPECT_EQ(worker.wait_for_end().code, 0);
}

TEST(WorkerCallTest, WaitsForRoomInTheResponseRing) {
  for (const std::uint32_t threads : {1U, 4U}) {
    WorkerHarness worker({.max_in_flight = threads, .ring_bytes = ipc::kMinRingBytes});
    constexpr std::size_t kLong = ipc::kValueLimitBytes - 1024;
    constexpr std::size_t kCalls = 6 * ipc::kMinRingBytes / kLong;
    std::map<std::uint64_t, std::size_t> expected;
    for (std::size_t i = 0; i < kCalls; ++i) {
      const std::size_t size = i % 2 == 0 ? kLong : 0;
      expected[worker.send(Call{.command = "return_bytes", .args = uint_args("size", size)})] =
          size;
    }
    for (std::size_t i = 0; i < kCalls; ++i) {
      const Reply reply = worker.receive();
      EXPECT_EQ(reply.result().AsBlob().size(), expected.at(reply.request_id));
      expected.erase(reply.request_id);
    }
  }
}

// ---- errors ----

TEST(WorkerErrorTest, NamesTheCommandThatWasMeant) {
  WorkerHarness worker;
  const Reply reply = worker.call(Call{.command = "ecko"});
  EXPECT_EQ(reply.response().status(), wire::Status::error);
  EXPECT_EQ(reply.error().category()->str(), "python");
  EXPECT_EQ(reply.error().code()->str(), "unknown_command");
  EXPECT_THAT(reply.error().message()->str(),
              AllOf(HasSubstr("'ecko'"), HasSubstr("did you mean 'echo'?"), HasSubstr("append")));
}

TEST(WorkerErrorTest, HooksAndPrivateMethodsAreNoCommands) {
  WorkerHarness worker;
  for (const char* name : {"set_lm", "start", "__init__", "__class__", ""}) {
    EXPECT_EQ(worker.call(Call{.command = name}).error().code()->str(), "unknown_command");
  }
}

TEST(WorkerErrorTest, ArgumentsThatDoNotFitAreToldWithTheSignature) {
  WorkerHarness worker;
  const Reply reply = worker.call(Call{.command = "greet", .args = args("nmae", "Ada")});
  EXPECT_EQ(reply.error().code()->str(), "invalid_arguments");
  EXPECT_THAT(reply.error().message()->str(),
              AllOf(HasSubstr("unexpected keyword argument 'nmae'"),
                    HasSubstr("greet(name: str, polite: bool = True)")));
  EXPECT_EQ(reply.error().traceback(), nullptr);
}

TEST(WorkerErrorTest, TextThatIsNotUtf8IsRefused) {
  WorkerHarness worker;
  const Reply reply = worker.call(Call{.command = "echo", .args = args("text", "\xff\xfe")});
  EXPECT_EQ(reply.error().code()->str(), "invalid_arguments");
  EXPECT_THAT(reply.error().message()->str(), HasSubstr("utf-8"));
}

TEST(WorkerErrorTest, TellsWhatWasRaisedAndWhere) {
  WorkerHarness worker;
  const Reply reply = worker.call(Call{.command = "raise_value_error"});
  EXPECT_EQ(reply.error().category()->str(), "python");
  EXPECT_EQ(reply.error().code()->str(), "exception");
  EXPECT_THAT(reply.error().message()->str(), StartsWith("ValueError: no such thing"));
  EXPECT_EQ(reply.error().exception_type()->str(), "ValueError");
  EXPECT_THAT(reply.error().traceback()->str(),
              AllOf(StartsWith("Traceback (most recent call last):\n  File"),
                    HasSubstr("in raise_value_error"), Not(HasSubstr("__main__"))));
  EXPECT_FALSE(reply.error().retryable());
}

TEST(WorkerErrorTest, ATypeErrorInsideTheCommandIsItsOwn) {
  WorkerHarness worker;
  const Reply reply = worker.call(Call{.command = "raise_type_error"});
  EXPECT_EQ(reply.error().code()->str(), "exception");
  EXPECT_EQ(reply.error().exception_type()->str(), "TypeError");
}

TEST(WorkerErrorTest, TheAdapterSaysWhatAnExceptionMeans) {
  WorkerHarness worker;
  const Reply reply = worker.call(Call{.command = "raise_timeout"});
  const wire::ErrorReport& error = reply.error();
  EXPECT_EQ(error.category()->str(), "timeout");
  EXPECT_EQ(error.code()->str(), "too_slow");
  EXPECT_EQ(error.message()->str(), "it took too long: try later");
  EXPECT_TRUE(error.retryable());
  EXPECT_EQ(error.retry_after_ms(), 1500U);
  EXPECT_EQ(error.provider()->str(), "openai");
  EXPECT_EQ(error.exception_type()->str(), "TimeoutError");
  EXPECT_THAT(error.traceback()->str(), HasSubstr("in raise_timeout"));
}

TEST(WorkerErrorTest, AnAdapterMayRefuseInItsOwnWords) {
  WorkerHarness worker;
  const Reply reply = worker.call(Call{.command = "refuse"});
  EXPECT_EQ(reply.error().code()->str(), "closed");
  EXPECT_EQ(reply.error().message()->str(), "not today");
  EXPECT_TRUE(reply.error().retryable());
  EXPECT_EQ(reply.error().retry_after_ms(), 0U);
  EXPECT_EQ(reply.error().provider(), nullptr);
}

TEST(WorkerErrorTest, SurvivesACommandThatExits) {
  WorkerHarness worker;
  EXPECT_EQ(worker.call(Call{.command = "leave"}).error().exception_type()->str(), "SystemExit");
  EXPECT_EQ(worker.call(Call{.command = "echo"}).result_json(), "{  }");
}

TEST(WorkerErrorTest, NamesTheWayToAResultThatCannotBeSent) {
  WorkerHarness worker;
  const Reply reply = worker.call(Call{.command = "return_a_set"});
  EXPECT_EQ(reply.error().code()->str(), "unserialisable_result");
  EXPECT_THAT(reply.error().message()->str(), StartsWith("result.answers[1].model is a set"));
}

TEST(WorkerErrorTest, NamesTheWayToAFieldThatCannotBeKept) {
  WorkerHarness worker;
  const Reply reply = worker.call(Call{.command = "put_a_set", .session = "s"});
  EXPECT_EQ(reply.error().code()->str(), "unserialisable_field");
  EXPECT_THAT(reply.error().message()->str(), StartsWith("session[\"models\"][0] is a set"));
}

TEST(WorkerErrorTest, TellsThatAResultIsTooLarge) {
  WorkerHarness worker;
  const Reply reply = worker.call(
      Call{.command = "return_bytes", .args = uint_args("size", ipc::kValueLimitBytes)});
  EXPECT_EQ(reply.error().category()->str(), "communication");
  EXPECT_EQ(reply.error().code()->str(), "result_too_large");
  EXPECT_THAT(reply.error().message()->str(), HasSubstr(std::to_string(ipc::kValueLimitBytes)));
  EXPECT_EQ(worker.call(Call{.command = "echo"}).result_json(), "{  }");
}

// ---- language models ----

TEST(WorkerLanguageModelTest, ComesBeforeTheFirstCommandThatNeedsIt) {
  WorkerHarness worker;
  EXPECT_TRUE(worker.call(Call{.command = "model"}).result().IsNull());
  worker.send(Call{.command = "model", .lm_version = 2});
  worker.send_language_model(1, "first", "secret-1");
  worker.send_language_model(2, "second", "secret-2");
  const Reply reply = worker.receive();
  EXPECT_EQ(reply.result().AsMap()["model"].AsString().str(), "second");
  EXPECT_EQ(reply.result().AsMap()["key"].AsString().str(), "secret-2");
  EXPECT_THAT(reply.result().AsMap()["repr"].AsString().str(),
              AllOf(HasSubstr("second"), Not(HasSubstr("secret"))));
}

TEST(WorkerLanguageModelTest, ARefusalIsTheErrorOfWhoNeedsItWithoutTheKey) {
  WorkerHarness worker;
  worker.send_language_model(1, "refused", "secret-1");
  for (int i = 0; i < 2; ++i) {
    const Reply reply = worker.call(Call{.command = "model", .lm_version = 1});
    EXPECT_EQ(reply.error().code()->str(), "set_lm_failed");
    EXPECT_THAT(reply.error().message()->str(),
                AllOf(HasSubstr("not with the key <api_key>"), Not(HasSubstr("secret-1"))));
  }
  worker.send_language_model(2, "accepted", "secret-2");
  EXPECT_TRUE(worker.call(Call{.command = "model", .lm_version = 2}).result().IsMap());
}

TEST(WorkerLanguageModelTest, IsTheRequestsOwnHoweverManyThereAre) {
  WorkerHarness worker;
  for (const std::uint64_t id : {1U, 2U, 3U}) {
    worker.send_language_model(id, "model-" + std::to_string(id), "secret-" + std::to_string(id));
  }
  for (const std::uint64_t id : {2U, 1U, 3U, 3U, 1U}) {
    const Reply reply = worker.call(Call{.command = "own_model", .lm_version = id});
    EXPECT_EQ(reply.result().AsString().str(), "model-" + std::to_string(id));
  }
  EXPECT_TRUE(worker.call(Call{.command = "own_model"}).result().IsNull());
  EXPECT_EQ(worker.call(Call{.command = "times_told"}).result().AsInt64(), 3);
}

TEST(WorkerLanguageModelTest, ARefusalIsOfTheOneThatWasRefused) {
  WorkerHarness worker;
  worker.send_language_model(1, "first", "");
  worker.send_language_model(2, "refused", "secret-2");
  EXPECT_EQ(worker.call(Call{.command = "own_model", .lm_version = 2}).error().code()->str(),
            "set_lm_failed");
  EXPECT_EQ(worker.call(Call{.command = "own_model", .lm_version = 1}).result().AsString().str(),
            "first");
}

TEST(WorkerLanguageModelTest, OneThatIsForgottenIsNotThereAnyMore) {
  WorkerHarness worker;
  worker.send_language_model(1, "first", "secret-of-the-first");
  EXPECT_TRUE(worker.call(Call{.command = "own_model", .lm_version = 1}).result().IsString());
  worker.send_language_model(2, "second", "", {1});
  EXPECT_TRUE(worker.call(Call{.command = "own_model", .lm_version = 2}).result().IsString());
  EXPECT_EQ(worker.call(Call{.command = "models_alive"}).result().AsInt64(), 1);
}

TEST(WorkerLanguageModelTest, AllThreadsWaitForIt) {
  WorkerHarness worker({.max_in_flight = 4});
  for (int i = 0; i < 4; ++i) worker.send(Call{.command = "model", .lm_version = 1});
  worker.send_language_model(1, "first", "secret-1");
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(worker.receive().result().AsMap()["model"].AsString().str(), "first");
  }
}

}  // namespace
}  // namespace dspool::python
