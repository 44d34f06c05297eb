// What a worker is replaced for.
#include <fcntl.h>
#include <flatbuffers/flexbuffers.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <limits>
#include <thread>

#include "ipc/sealed_bytes.h"
#include "tests/chaos/hostility.h"

namespace dspool::chaos {
namespace {

using wire::MessageType;
using wire::Status;

// Beyond every request that an engine will ever send in a test.
constexpr std::uint64_t kNobodysId = std::uint64_t{1} << 60;

flatbuffers::Offset<wire::ErrorReport> report_of(flatbuffers::FlatBufferBuilder& builder,
                                                 const char* category) {
  const auto name = builder.CreateString(category);
  const auto message = builder.CreateString(std::string(1000, 'x'));
  return wire::CreateErrorReport(builder, name, builder.CreateString("forged"), message);
}

flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> forged_result(
    flatbuffers::FlatBufferBuilder& builder) {
  flexbuffers::Builder value;
  value.String("forged");
  value.Finish();
  builder.ForceVectorAlignment(value.GetSize(), sizeof(std::uint8_t), ipc::kValueAlignment);
  return builder.CreateVector(value.GetBuffer());
}

}  // namespace

// Those of weight 1 are seen by deadlines only, which takes a second or two.
std::span<const Hostility::Act> Hostility::crimes() {
  static constexpr Act kCrimes[] = {
      {"scribble", &Hostility::scribble},
      {"lie about the tail", &Hostility::lie_about_the_tail},
      {"lie about the head", &Hostility::lie_about_the_head},
      {"change lengths", &Hostility::change_lengths},
      {"forge an answer", &Hostility::forge_an_answer, 32},
      {"answer twice", &Hostility::answer_twice},
      {"send answers nobody asked for", &Hostility::send_answers_nobody_asked_for},
      {"send garbled answers", &Hostility::send_garbled_answers, 16},
      {"send unknown types", &Hostility::send_unknown_types},
      {"send pongs for ever", &Hostility::send_pongs_for_ever},
      {"be ready again", &Hostility::be_ready_again},
      {"fail after all", &Hostility::fail_after_all},
      {"emit what cannot be", &Hostility::emit_what_cannot_be, 32},
      {"emit without end", &Hostility::emit_without_end, 16},
      {"emit after the answer", &Hostility::emit_after_the_answer},
      {"name bodies elsewhere", &Hostility::name_bodies_elsewhere, 16},
      {"hand over anything", &Hostility::hand_over_anything, 16},
      {"punch a hole", &Hostility::punch_a_hole},
      {"die", &Hostility::die},
      {"die with full bells", &Hostility::die_with_full_bells},
      {"cut the wires", &Hostility::cut_the_wires, 1},
      {"hang", &Hostility::hang, 1},
      {"stop", &Hostility::stop, 1},
  };
  return kCrimes;
}

template <typename Step>
void Hostility::for_ever(Step step) {
  while (true) step();
}

// ---- with the shared memory ----

void Hostility::scribble() {
  wait_until_read();
  const auto bytes = raw_.bytes();
  for_ever([&] {
    const auto words = std::span(reinterpret_cast<std::uint64_t*>(bytes.data()), bytes.size() / 8);
    for (std::uint64_t& word : words) word = any_number();
    ring();
  });
}

void Hostility::lie_about_the_tail() {
  wait_until_read();
  auto& tail = raw_.mine().response_tail.value;
  const std::uint64_t truth = tail.load();
  for_ever([&] {
    tail.store(truth + any_number());
    ring();
    tail.store(truth);
  });
}

void Hostility::lie_about_the_head() {
  auto& head = raw_.mine().request_head.value;
  while (serve(1)) head.store(head.load() + any_number());
}

// Publishes records whose headers change while they are read.
void Hostility::change_lengths() {
  wait_until_read();
  auto& tail = raw_.mine().response_tail.value;
  const auto ring_words = raw_.ring();
  const std::uint64_t truth = tail.load();
  std::uint64_t& header = ring_words[truth / 8 % ring_words.size()];
  constexpr auto kResponse = std::uint64_t{static_cast<std::uint16_t>(MessageType::response)};
  header = kResponse << 32 | 48;
  tail.store(truth + 64);
  ring();
  for_ever([&] { header = kResponse << 32 | (below(2) == 0 ? below(256) : any_number()); });
}

// The engine reads zeros, which the kernel has to find a page for.
void Hostility::punch_a_hole() {
  wait_until_read();
  const auto bytes = raw_.bytes();
  ::madvise(bytes.data(), bytes.size(), MADV_REMOVE);
  for_ever([&] {
    raw_.mine().response_tail.value.store(any_number());
    ring();
  });
}

// A record whose body is said to be in the bulk ring, in a memfd, or nowhere.
void Hostility::name_bodies_elsewhere() {
  wait_until_read();
  auto& tail = raw_.mine().response_tail.value;
  const auto ring_words = raw_.ring();
  const std::uint64_t at = tail.load() / 8;
  const auto word = [&](std::uint64_t i) -> std::uint64_t& {
    return ring_words[(at + i) % ring_words.size()];
  };
  constexpr auto kResponse = std::uint64_t{static_cast<std::uint16_t>(MessageType::response)};
  word(0) = (1 + below(3)) << 48 | kResponse << 32 | sizeof(ipc::OutsideBody);
  word(1) = any_number();
  word(2) = below(2) == 0 ? below(1 << 20) : any_number();
  if (below(2) == 0) raw_.mine().bulk_tail.value.store(any_number());
  tail.store(at * 8 + 32);
  ring();
  hang();
}

// ---- with records ----

void Hostility::forge_an_answer() {
  const auto pending = worker_.next_request();
  if (!pending) return;
  const wire::Request& request = pending->request();
  const std::uint32_t attempt = request.attempt();
  const std::uint64_t epoch = worker_.epoch();
  const std::uint64_t kind = below(10);
  std::uint64_t id = pending->id;
  flatbuffers::FlatBufferBuilder builder;
  const auto report = report_of(builder, "forgery");
  const auto forged = forged_result(builder);  // would be noticed, were it believed
  flatbuffers::Offset<wire::Response> answer;
  switch (kind) {
    case 0:
      answer = wire::CreateResponse(builder, epoch + 1, attempt, Status::ok, forged);
      break;
    case 1:
      answer = wire::CreateResponse(builder, epoch, attempt + 1, Status::ok, forged);
      break;
    case 2:
      answer = wire::CreateResponse(builder, epoch, attempt, Status::cancelled);
      break;
    case 3:
      answer = wire::CreateResponse(builder, epoch, attempt, Status::error);
      break;
    case 4:
      answer = wire::CreateResponse(builder, epoch, attempt, static_cast<Status>(77));
      break;
    case 5:
      answer = wire::CreateResponse(builder, epoch, attempt, Status::error, 0, 0, report);
      break;
    case 6:
      answer = wire::CreateResponse(builder, epoch, attempt, Status::ok);
      break;
    default:
      answer = wire::CreateResponse(builder, epoch, attempt, Status::ok, forged);
      id |= kNobodysId;
  }
  builder.Finish(answer);
  worker_.send(MessageType::response, id, builder);
  hang();
}

// A body in a descriptor that is none, or that holds garbage, or other than it is said to.
void Hostility::hand_over_anything() {
  const auto pending = worker_.next_request();
  if (!pending) return;
  constexpr std::uint64_t kBytes = 1 << 20;
  const std::vector<std::byte> garbage(kBytes, std::byte{0x5a});
  const auto sealed = ipc::seal_copy(std::array{std::span<const std::byte>(garbage)}).value();
  const ipc::FileDescriptor open(::memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (::ftruncate(open.get(), kBytes) != 0) std::abort();
  switch (below(5)) {
    case 0:
      worker_.hand_over(pending->id, sealed.get(), kBytes);
      break;
    case 1:
      worker_.hand_over(pending->id, sealed.get(), any_number());
      break;
    case 2:
      worker_.hand_over(pending->id, open.get(), kBytes);
      break;
    case 3:
      worker_.hand_over(pending->id, RawChannel::kControl, kBytes);
      break;
    default:
      worker_.hand_over(pending->id, -1, kBytes);
  }
  hang();
}

// Out of turn, of another attempt or call, too long, or no value at all.
void Hostility::emit_what_cannot_be() {
  auto pending = worker_.next_request();
  if (!pending) return;
  const std::uint32_t attempt = pending->request().attempt();
  switch (below(5)) {
    case 0:
      worker_.emit(*pending, attempt, 1 + any_number(), 10);
      break;
    case 1:
      worker_.emit(*pending, attempt + 1, 0, 10);
      break;
    case 2:
      pending->id |= kNobodysId;
      worker_.emit(*pending, attempt, 0, 10);
      break;
    case 3:
      for (std::uint64_t index = 0; index < 3; ++index) {
        worker_.emit(*pending, attempt, index, 120'000);
      }
      break;
    default:
      worker_.send(MessageType::chunk, pending->id, "garbage", sizeof "garbage");
  }
  hang();
}

// In turn, whether anybody listens or not.
void Hostility::emit_without_end() {
  const auto pending = worker_.next_request();
  if (!pending) return;
  std::uint64_t index = 0;
  for_ever([&] { worker_.emit(*pending, pending->request().attempt(), index++, below(5000)); });
}

void Hostility::emit_after_the_answer() {
  const auto pending = worker_.next_request();
  if (!pending) return;
  worker_.answer(*pending);
  worker_.emit(*pending, pending->request().attempt(), 0, 10);
  hang();
}

void Hostility::answer_twice() {
  const auto pending = worker_.next_request();
  if (!pending) return;
  worker_.answer(*pending);
  for_ever([&] { worker_.answer(*pending); });
}

void Hostility::send_answers_nobody_asked_for() {
  const auto pending = worker_.next_request();
  if (!pending) return;
  auto& answer = worker_.build_answer(*pending);
  for_ever([&] { worker_.send(MessageType::response, random_() | kNobodysId, answer); });
}

// Bits are flipped and ends cut off, under ids that nobody waits for.
void Hostility::send_garbled_answers() {
  const auto pending = worker_.next_request();
  if (!pending) return;
  auto& builder = worker_.build_answer(*pending);
  const std::vector<std::uint8_t> truth(builder.GetBufferPointer(),
                                        builder.GetBufferPointer() + builder.GetSize());
  for_ever([&] {
    std::vector<std::uint8_t> garbled = truth;
    for (std::uint64_t flips = below(8); flips != 0; --flips) {
      garbled[below(garbled.size())] ^= static_cast<std::uint8_t>(1U << below(8));
    }
    if (below(2) == 0) garbled.resize(below(garbled.size()));
    worker_.send(MessageType::response, random_() | kNobodysId, garbled.data(), garbled.size());
  });
}

void Hostility::send_unknown_types() {
  for_ever([&] {
    const auto type = static_cast<MessageType>(1 + below(1000));
    worker_.send(type, random_() | kNobodysId, "garbage", sizeof "garbage");
  });
}

void Hostility::send_pongs_for_ever() {
  for_ever([&] { worker_.send(MessageType::pong, any_number(), nullptr, 0); });
}

void Hostility::be_ready_again() {
  for_ever([&] { worker_.send_ready(); });
}

void Hostility::fail_after_all() {
  flatbuffers::FlatBufferBuilder builder;
  const auto report = report_of(builder, "python");
  builder.Finish(wire::CreateFailure(builder, worker_.epoch(), report));
  for_ever([&] { worker_.send(MessageType::failure, 0, builder); });
}

// ---- with its life ----

void Hostility::die() {
  switch (below(4)) {
    case 0:
      ::_exit(3);
    case 1:
      std::abort();
    case 2:
      ::raise(SIGSEGV);
      break;
    default:
      ::raise(SIGKILL);
  }
}

// Whoever wrote to one of them would wait for ever.
void Hostility::die_with_full_bells() {
  for (const int bell : {RawChannel::kCallerBell, RawChannel::kReactorBell}) {
    eventfd_t count = 0;
    ::eventfd_read(bell, &count);
    ::eventfd_write(bell, std::numeric_limits<eventfd_t>::max() - 1);
    ::fcntl(bell, F_SETFL, 0);
  }
  die();
}

// It hangs up, and lives on.
void Hostility::cut_the_wires() {
  ::close_range(3, std::numeric_limits<unsigned>::max(), 0);
  for_ever([] { ::pause(); });
}

void Hostility::hang() {
  for_ever([] { ::pause(); });
}

void Hostility::stop() {
  for_ever([] { ::raise(SIGSTOP); });
}

}  // namespace dspool::chaos
