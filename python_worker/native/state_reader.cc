#include "python_worker/native/state_reader.h"

#include <optional>
#include <string_view>
#include <utility>

#include "python_worker/native/gil.h"

namespace dspool::python {
namespace {

tl::unexpected<ipc::Fault> violation(const char* what) {
  return tl::unexpected(ipc::Fault{ipc::FaultKind::kViolation, what});
}

tl::unexpected<ipc::Fault> engine_gone() {
  return tl::unexpected(ipc::Fault{ipc::FaultKind::kPeerGone, "the engine is gone"});
}

UnreadFields::Bytes unsigned_bytes(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace

ipc::Result<std::unique_ptr<UnreadFields>> StateReader::read(const wire::SessionState& state) {
  const std::string_view keys = state.keys()->string_view();
  const auto& pieces = *state.pieces();
  auto fields = spare_ ? std::move(spare_) : std::make_unique<UnreadFields>();
  fields->begin(keys, state.fields()->size(), pieces.size());
  std::string_view key;
  std::size_t key_begin = 0;
  flatbuffers::uoffset_t piece = 0;
  std::optional<ipc::Fault> fault;
  for (const wire::FieldRef* field : *state.fields()) {
    if (field->key_end() < key_begin || field->key_end() > keys.size() ||
        field->pieces_end() > pieces.size()) {
      return violation("a field does not lie within its state");
    }
    const std::string_view before = key;
    key = keys.substr(key_begin, field->key_end() - key_begin);
    if (fields->size() != 0 && key <= before) return violation("fields are not sorted");
    fields->add(key.size());
    if (field->pieces_end() <= piece) return violation("a field has no value");
    for (; piece < field->pieces_end(); ++piece) {
      const auto bytes = find(*pieces.Get(piece), *fields);
      if (bytes) fields->add_piece(*bytes);
      if (!bytes && !fault) fault = bytes.error();  // and go on taking what has come
    }
    key_begin = field->key_end();
  }
  if (fault) return tl::unexpected(std::move(*fault));
  return fields;
}

ipc::Result<UnreadFields::Bytes> StateReader::find(const wire::Piece& piece, UnreadFields& fields) {
  return piece.extent() == ipc::StatePlace::kByItself ? map_block(piece, fields)
                                                      : find_in_extent(piece);
}

ipc::Result<UnreadFields::Bytes> StateReader::find_in_extent(const wire::Piece& piece) {
  if (!segment_.has(piece.extent())) {
    ipc::FileDescriptor memfd;
    {
      const GilRelease no_gil;
      memfd = inbox_.take_extent(piece.extent());
    }
    if (!memfd.is_open()) return engine_gone();
    if (auto added = segment_.add(piece.extent(), memfd.get()); !added) {
      return tl::unexpected(added.error());
    }
  }
  const auto bytes = segment_.bytes({.at = piece.at(), .extent = piece.extent()}, piece.bytes());
  if (!bytes) return violation("a field does not lie within its extent");
  return unsigned_bytes(*bytes);
}

ipc::Result<UnreadFields::Bytes> StateReader::map_block(const wire::Piece& piece,
                                                        UnreadFields& fields) {
  ipc::FileDescriptor memfd;
  {
    const GilRelease no_gil;
    memfd = inbox_.take_block(piece.at());
  }
  if (!memfd.is_open()) return engine_gone();
  auto block = BlockView::map(memfd.get(), piece.bytes());
  if (!block) return tl::unexpected(block.error());
  const UnreadFields::Bytes bytes = unsigned_bytes((*block)->bytes());
  fields.hold(std::move(*block));
  return bytes;
}

}  // namespace dspool::python
