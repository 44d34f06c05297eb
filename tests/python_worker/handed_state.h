// A session's fields as an engine hands them to a worker: by reference, into an extent of the state
// segment or blocks by themselves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ipc/file_descriptor.h"
#include "schemas/control_generated.h"
#include "schemas/envelope_generated.h"

namespace dspool::python {

using Encoded = std::vector<std::uint8_t>;

struct Fields {
  std::map<std::string, Encoded> values;
  std::map<std::string, std::vector<Encoded>> appended{};  // to a value, one after the other
  std::set<std::string> by_itself{};                       // whose first piece is a block by itself
  std::set<std::string> misplaced{};  // whose first piece ends beyond its extent
};

class HandedState {
 public:
  struct Handed {
    wire::Handover what;
    ipc::FileDescriptor memfd;
  };

  // An extent of this number.
  explicit HandedState(std::uint32_t extent);
  HandedState(const HandedState&) = delete;
  HandedState& operator=(const HandedState&) = delete;
  ~HandedState();

  // Puts fields where a worker can read them. Before it can, it has to be given what is in
  // `to_hand_over`.
  flatbuffers::Offset<wire::SessionState> write(const Fields& fields,
                                                flatbuffers::FlatBufferBuilder& builder);
  [[nodiscard]] std::vector<Handed> to_hand_over();
  // Makes everything that was written illegible, as other sessions' fields in its place would.
  void scribble() noexcept;

 private:
  wire::Piece in_extent(const Encoded& bytes);
  wire::Piece by_itself(const Encoded& bytes);

  const std::uint32_t extent_;
  std::uint8_t* bytes_ = nullptr;
  std::size_t end_ = 0;
  std::uint64_t blocks_ = 0;
  std::vector<Handed> to_hand_over_;
};

}  // namespace dspool::python
