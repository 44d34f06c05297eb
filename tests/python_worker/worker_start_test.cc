#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "tests/python_worker/worker_harness.h"

namespace dspool::python {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;

TEST(WorkerStartTest, SaysReadyWithItsInterpreterAndItsCommands) {
  WorkerHarness worker;
  ASSERT_EQ(worker.first().type, wire::MessageType::ready);
  const auto& ready = *flatbuffers::GetRoot<wire::Ready>(worker.first().body.data());
  EXPECT_EQ(ready.epoch(), WorkerHarness::kEpoch);
  EXPECT_THAT(ready.python()->str(), AllOf(HasSubstr("3."), HasSubstr("python")));
  std::vector<std::string> commands;
  for (const flatbuffers::String* command : *ready.commands()) commands.push_back(command->str());
  EXPECT_THAT(commands, IsSupersetOf({"append", "echo", "time_left"}));
  EXPECT_TRUE(std::is_sorted(commands.begin(), commands.end()));
  for (const char* hook : {"set_lm", "start", "stop", "describe_error", "_hidden"}) {
    EXPECT_THAT(commands, ::testing::Not(::testing::Contains(hook)));
  }
}

// Starts a worker that cannot start, and returns what it says.
std::string failure_of(const std::string& adapter) {
  WorkerHarness worker({.adapter = adapter});
  EXPECT_EQ(worker.first().type, wire::MessageType::failure);
  const wire::ErrorReport& error = worker.first().error();
  EXPECT_EQ(error.category()->str(), "initialization");
  EXPECT_EQ(error.code()->str(), "adapter_failed");
  const ipc::ExitStatus status = worker.wait_for_end();
  EXPECT_FALSE(status.signalled);
  EXPECT_EQ(status.code, 1);
  return error.message()->str();
}

TEST(WorkerStartTest, TellsWhichModuleIsMissingAndWhere) {
  EXPECT_THAT(failure_of("no_such_module:Adapter"),
              AllOf(HasSubstr("no_such_module:Adapter"), HasSubstr("No module named"),
                    HasSubstr("worker.python_path")));
}

TEST(WorkerStartTest, TellsWhichClassWasMeant) {
  EXPECT_THAT(failure_of("worker_adapters:Command"), HasSubstr("did you mean 'Commands'?"));
}

TEST(WorkerStartTest, RefusesAClassThatIsNoAdapter) {
  EXPECT_THAT(failure_of("worker_adapters:NoAdapter"), HasSubstr("derive it from"));
}

TEST(WorkerStartTest, RefusesAnAdapterWithoutCommands) {
  EXPECT_THAT(failure_of("worker_adapters:WithoutCommands"), HasSubstr("no public method"));
}

TEST(WorkerStartTest, RefusesANameThatIsNoPath) {
  EXPECT_THAT(failure_of("worker_adapters"), HasSubstr("package.module:Class"));
}

TEST(WorkerStartTest, TellsWhatTheConstructorRaised) {
  WorkerHarness worker({.adapter = "worker_adapters:Raises"});
  ASSERT_EQ(worker.first().type, wire::MessageType::failure);
  const wire::ErrorReport& error = worker.first().error();
  EXPECT_THAT(error.message()->str(), HasSubstr("RuntimeError: the model file is missing"));
  EXPECT_EQ(error.exception_type()->str(), "RuntimeError");
  EXPECT_THAT(error.traceback()->str(), HasSubstr("in __init__"));
}

TEST(WorkerStartTest, RefusesAnEngineThatSpeaksAnotherProtocol) {
  WorkerHarness worker({.protocol = wire::Protocol::unversioned});
  ASSERT_EQ(worker.first().type, wire::MessageType::failure);
  const wire::ErrorReport& error = worker.first().error();
  EXPECT_EQ(error.category()->str(), "initialization");
  EXPECT_EQ(error.code()->str(), "version_mismatch");
  EXPECT_THAT(error.message()->str(),
              AllOf(HasSubstr("the engine speaks protocol 0"),
                    HasSubstr("dspool_worker protocol 1"), HasSubstr("worker.python_path")));
  EXPECT_EQ(worker.wait_for_end().code, 1);
}

TEST(WorkerStartTest, WithoutAnEngineItSaysWhoStartsIt) {
  auto process = ipc::ChildProcess::spawn({.program = std::getenv("DSPOOL_PYTHON"),
                                           .arguments = {"-m", "dspool_worker", "--adapter", "a:B"},
                                           .environment = {"PYTHONPATH=" DSPOOL_TEST_TREE},
                                           .descriptors = {}});
  ASSERT_TRUE(process);
  std::string text;
  char character = 0;
  pollfd watched{.fd = (*process)->standard_error(), .events = POLLIN, .revents = 0};
  while (::poll(&watched, 1, -1) > 0 && ::read(watched.fd, &character, 1) == 1) text += character;
  EXPECT_THAT(text, HasSubstr("started by the engine"));
}

TEST(WorkerEndTest, DrainsWhatLiesBeforeAndExitsWithStatus0) {
  WorkerHarness worker;
  for (int i = 0; i < 3; ++i) worker.send(Call{.command = "echo"});
  worker.send(wire::MessageType::drain);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(worker.receive().type, wire::MessageType::response);
  const ipc::ExitStatus status = worker.wait_for_end();
  EXPECT_FALSE(status.signalled);
  EXPECT_EQ(status.code, 0);
}

TEST(WorkerEndTest, DiesWithTheEngine) {
  WorkerHarness worker;
  worker.abandon_channel();
  EXPECT_TRUE(worker.wait_for_end().signalled);
}

// A thread whose loop fails owes an answer, which only a death can tell; neither other commands
// nor the adapter's own threads may delay it.
void expect_death(WorkerHarness& worker) {
  const ipc::ExitStatus status = worker.wait_for_end();
  EXPECT_FALSE(status.signalled);
  EXPECT_EQ(status.code, 1);
}

TEST(WorkerEndTest, DiesWhenItsLoopFails) {
  WorkerHarness worker({.adapter = "worker_adapters:BreaksItsLoop"});
  worker.send(Call{.command = "break_loop"});
  expect_death(worker);
}

TEST(WorkerEndTest, DiesWhenTheLoopOfOneThreadFails) {
  WorkerHarness worker({.adapter = "worker_adapters:BreaksItsLoop", .max_in_flight = 4});
  for (int i = 0; i < 3; ++i) worker.send(Call{.command = "wait"});
  worker.send(Call{.command = "break_loop"});
  expect_death(worker);
}

TEST(WorkerEndTest, DiesWhenALoopFailsWhileItDrains) {
  WorkerHarness worker({.adapter = "worker_adapters:BreaksItsLoop", .max_in_flight = 2});
  const std::uint64_t soon_ns = monotonic_ns() + 200'000'000;
  worker.send(Call{.command = "break_loop", .args = uint_args("at_ns", soon_ns)});
  worker.send(wire::MessageType::drain);
  expect_death(worker);
}

TEST(WorkerEndTest, LeavesCtrlCToTheEngine) {
  WorkerHarness worker;
  ASSERT_EQ(::kill(worker.process().pid(), SIGINT), 0);
  EXPECT_EQ(worker.call(Call{.command = "echo"}).result_json(), "{  }");
}

}  // namespace
}  // namespace dspool::python
