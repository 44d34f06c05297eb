#include "engine/dispatch/call.h"

#include <flatbuffers/flexbuffers.h>

namespace dspool::dispatch {
namespace {

session::Fingerprint fingerprint_of(const session::Delta& update) {
  flexbuffers::Builder builder;
  const auto add = [&builder](const std::vector<session::Delta::Put>& fields) {
    for (const session::Delta::Put& field : fields) {
      builder.Blob(field.key.data(), field.key.size());
      builder.Blob(field.value.data(), field.value.size());
    }
  };
  builder.Vector([&] {
    builder.Vector([&] { add(update.puts); });
    builder.Vector([&] { add(update.appends); });
    for (const std::string_view key : update.deletes) builder.Blob(key.data(), key.size());
  });
  builder.Finish();
  return session::fingerprint({}, builder.GetBuffer());
}

}  // namespace

session::Fingerprint fingerprint_of(const Call& call) {
  return call.kind == CallKind::kUpdateFields
             ? fingerprint_of(*call.update)
             : session::fingerprint(call.command, call.args->bytes());
}

}  // namespace dspool::dispatch
