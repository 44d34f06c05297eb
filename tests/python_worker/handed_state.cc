#include "tests/python_worker/handed_state.h"

#include <sys/mman.h>

#include <array>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "ipc/memfd.h"
#include "ipc/sealed_bytes.h"
#include "ipc/state_segment.h"
#include "ipc/value_sequence.h"

namespace dspool::python {
namespace {

Encoded sequence(const std::vector<Encoded>& values) {
  Encoded bytes;
  for (const Encoded& value : values) {
    const std::size_t end = bytes.size();
    bytes.resize(end + ipc::sequence_bytes(value.size()));
    ipc::write_in_sequence(reinterpret_cast<std::byte*>(bytes.data() + end),
                           std::as_bytes(std::span(value)));
  }
  return bytes;
}

}  // namespace

HandedState::HandedState(std::uint32_t extent) : extent_(extent) {
  auto memfd = ipc::Memfd::create("test extent", ipc::StateSegment::kExtentBytes);
  if (!memfd) throw std::runtime_error(memfd.error().what);
  void* const address = ::mmap(nullptr, ipc::StateSegment::kExtentBytes, PROT_READ | PROT_WRITE,
                               MAP_SHARED, memfd->descriptor(), 0);
  if (address == MAP_FAILED) throw std::runtime_error("cannot map an extent");
  bytes_ = static_cast<std::uint8_t*>(address);
  to_hand_over_.push_back({wire::Handover(extent, wire::HandoverKind::extent), memfd->release()});
}

HandedState::~HandedState() { ::munmap(bytes_, ipc::StateSegment::kExtentBytes); }

flatbuffers::Offset<wire::SessionState> HandedState::write(
    const Fields& fields, flatbuffers::FlatBufferBuilder& builder) {
  std::string keys;
  std::vector<wire::FieldRef> refs;
  std::vector<wire::Piece> pieces;
  for (const auto& [key, value] : fields.values) {
    keys += key;
    pieces.push_back(fields.by_itself.contains(key) ? by_itself(value) : in_extent(value));
    if (fields.misplaced.contains(key)) {
      pieces.back() = {ipc::StateSegment::kExtentBytes - 1, 2, extent_};
    }
    if (const auto more = fields.appended.find(key); more != fields.appended.end()) {
      // In two pieces, as they come when a block was full.
      const auto& values = more->second;
      const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
      for (const std::vector<Encoded>& part :
           {std::vector(values.begin(), middle), std::vector(middle, values.end())}) {
        if (!part.empty()) pieces.push_back(in_extent(sequence(part)));
      }
    }
    refs.emplace_back(static_cast<std::uint32_t>(keys.size()),
                      static_cast<std::uint32_t>(pieces.size()));
  }
  const auto all_pieces = builder.CreateVectorOfStructs(pieces);
  const auto all_refs = builder.CreateVectorOfStructs(refs);
  return wire::CreateSessionState(builder, builder.CreateString(keys), all_refs, all_pieces);
}

std::vector<HandedState::Handed> HandedState::to_hand_over() {
  return std::exchange(to_hand_over_, {});
}

void HandedState::scribble() noexcept { std::memset(bytes_, 0xa5, end_); }

wire::Piece HandedState::in_extent(const Encoded& bytes) {
  constexpr std::size_t kAlignment = 16;
  const std::size_t at = end_;
  end_ = (at + bytes.size() + kAlignment - 1) / kAlignment * kAlignment;
  if (end_ > ipc::StateSegment::kExtentBytes) throw std::runtime_error("the extent is full");
  std::memcpy(bytes_ + at, bytes.data(), bytes.size());
  return {at, static_cast<std::uint32_t>(bytes.size()), extent_};
}

wire::Piece HandedState::by_itself(const Encoded& bytes) {
  auto memfd = ipc::seal_copy(std::array{std::as_bytes(std::span(bytes))});
  if (!memfd) throw std::runtime_error(memfd.error().what);
  const std::uint64_t number = ++blocks_;
  to_hand_over_.push_back({wire::Handover(number, wire::HandoverKind::block), std::move(*memfd)});
  return {number, static_cast<std::uint32_t>(bytes.size()), ipc::StatePlace::kByItself};
}

}  // namespace dspool::python
