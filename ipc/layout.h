// The bytes that engine and worker share, and nothing else: plain structs, offsets, limits.
//
//   segment A, written by the engine only          segment B, written by the worker only
//   0     EngineHeader                             0     WorkerHeader
//         magic, layout version, epoch, sizes            magic, layout version, epoch
//         request_tail    (P) of the request ring        request_head    (C) of the request ring
//         response_head   (C) of the response ring       response_tail   (P) of the response ring
//         bulk_head       (C) of the bulk ring           bulk_tail       (P) of the bulk ring
//         doorbell        futex the worker sleeps on     worker_sleeping the sleep it is in, or 0
//                                                        heartbeat       counts while it has no
//                                                        work
//         receiver        whom the worker must ring
//         recalled        (R) of recall.h                claimed         (T) of recall.h
//         attention       of attention.h, one word for each place of a request
//   4096  request ring, request_bytes              4096  response ring, response_bytes
//                                                  then  bulk ring, bulk_bytes (0: there is none)
//
// The bulk ring holds the bodies of answers that are too long for the response ring; payload.h
// says how the arguments of a request that are too long travel.
//
// Either header is written once, by its owner: A's before the worker exists, B's when the worker
// attaches. (P) and (C) are the edges of ring.h.
//
// Each mutable word has a 128-byte line of its own (two cache lines: the adjacent-line
// prefetcher pairs them).
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "ipc/attention.h"

namespace dspool::ipc {

inline constexpr std::uint32_t kMagic = 0x4c504453;  // "SDPL" in memory order
inline constexpr std::uint32_t kLayoutVersion = 5;
inline constexpr std::size_t kRingOffset = 4096;
inline constexpr std::size_t kRecordAlignment = 16;
// One value (a command's arguments, its result, all fields of a session) up to here travels in the
// ring; a record's body holds two of them and its envelope.
inline constexpr std::uint32_t kValueLimitBytes = 64 * 1024;
inline constexpr std::uint32_t kInlineLimitBytes = 2 * kValueLimitBytes + 4 * 1024;
inline constexpr std::size_t kValueAlignment = 8;  // of a value within its record
inline constexpr std::size_t kLineBytes = 128;
// At most so many requests does a worker have at once, each in a place of its own.
inline constexpr std::uint32_t kMostPlaces = 320;

// Precedes every record; a record begins on a multiple of kRecordAlignment.
struct RecordHeader {
  std::uint32_t length;      // of the body, in bytes, without padding
  std::uint16_t type;        // wire::MessageType, or kPaddingType
  std::uint16_t flags;       // a BodyPlace, or 0 or kCrowded where the engine wrote it
  std::uint64_t request_id;  // 0 where the type has none
};
static_assert(sizeof(RecordHeader) == kRecordAlignment);

// Where the body of an answer is. If not inline, an OutsideBody stands in its place.
enum class BodyPlace : std::uint16_t {
  kInline = 0,
  kBulk = 1,   // the next record of the bulk ring, with the same type and request id
  kMemfd = 2,  // a sealed memfd, the next one that comes over the control socket
};
inline constexpr std::uint16_t kLastBodyPlace = static_cast<std::uint16_t>(BodyPlace::kMemfd);

// More callers and workers wait for each other than there are cores: a worker that has no record
// after this one sleeps at once, since to look for it would take a core from whoever would send it.
inline constexpr std::uint16_t kCrowded = 1;
static_assert(kCrowded <= kLastBodyPlace);

struct OutsideBody {
  std::uint64_t bytes;
};

static_assert(kInlineLimitBytes % kRecordAlignment == 0);

// Fills the ring up to its end when the next record does not fit before it.
inline constexpr std::uint16_t kPaddingType = 0;

// The smallest ring. An empty ring must take the longest record wherever its cursors stand, or the
// producer would wait for ever. At worst the record misses the end by one unit of alignment, so
// that a padding almost as long as itself goes before it.
inline constexpr std::size_t kLongestRecordBytes = sizeof(RecordHeader) + kInlineLimitBytes;
inline constexpr std::size_t kMinRingBytes =
    std::bit_ceil(2 * kLongestRecordBytes - kRecordAlignment);

// Of the request ring, for records without a body: pings, drain.
inline constexpr std::uint32_t kControlRoomBytes = 8 * 1024;
static_assert(kMinRingBytes >= 2 * kLongestRecordBytes - kRecordAlignment + kControlRoomBytes);

// The longest body that an empty ring of this size takes wherever its cursors stand.
constexpr std::uint32_t longest_body_bytes(std::size_t ring_bytes) noexcept {
  return ring_bytes == 0 ? 0 : static_cast<std::uint32_t>(ring_bytes / 2 - sizeof(RecordHeader));
}
static_assert(longest_body_bytes(kMinRingBytes) >= kInlineLimitBytes);

// Whom the worker rings after it has published a record.
enum class Receiver : std::uint32_t {
  kNobody = 0,   // somebody looks at the ring without being told
  kCaller = 1,   // the caller's eventfd
  kReactor = 2,  // the reactor's eventfd
};

template <typename T>
struct alignas(kLineBytes) Line {
  std::atomic<T> value;
};

struct EngineHeader {
  std::uint32_t magic;
  std::uint32_t layout_version;
  std::uint64_t epoch;
  std::uint64_t request_bytes;
  std::uint64_t response_bytes;
  std::uint64_t bulk_bytes;
  std::uint64_t has_slab;  // 1: ChildDescriptor::kSlab is there
  Line<std::uint64_t> request_tail;
  Line<std::uint64_t> response_head;
  Line<std::uint64_t> bulk_head;
  Line<std::uint32_t> doorbell;
  Line<std::uint32_t> receiver;
  Line<std::uint64_t> recalled;  // requests, from the first on, that begin only if they have
  std::array<AttentionWord, kMostPlaces> attention;
};

struct WorkerHeader {
  std::uint32_t magic;
  std::uint32_t layout_version;
  std::uint64_t epoch;
  Line<std::uint64_t> response_tail;
  Line<std::uint64_t> request_head;
  Line<std::uint64_t> bulk_tail;
  Line<std::uint32_t> worker_sleeping;  // counts sleeps, never 0 while in one
  Line<std::uint64_t> heartbeat;        // grows at least once a second while it waits for a record
  Line<std::uint64_t> claimed;          // requests that it has begun, or skipped
};

static_assert(sizeof(Line<std::uint32_t>) == kLineBytes);
static_assert(offsetof(EngineHeader, epoch) == 8);
static_assert(offsetof(EngineHeader, request_bytes) == 16);
static_assert(offsetof(EngineHeader, response_bytes) == 24);
static_assert(offsetof(EngineHeader, bulk_bytes) == 32);
static_assert(offsetof(EngineHeader, has_slab) == 40);
static_assert(offsetof(EngineHeader, request_tail) == 1 * kLineBytes);
static_assert(offsetof(EngineHeader, response_head) == 2 * kLineBytes);
static_assert(offsetof(EngineHeader, bulk_head) == 3 * kLineBytes);
static_assert(offsetof(EngineHeader, doorbell) == 4 * kLineBytes);
static_assert(offsetof(EngineHeader, receiver) == 5 * kLineBytes);
static_assert(offsetof(EngineHeader, recalled) == 6 * kLineBytes);
static_assert(offsetof(EngineHeader, attention) == 7 * kLineBytes);
static_assert(offsetof(WorkerHeader, epoch) == 8);
static_assert(offsetof(WorkerHeader, response_tail) == 1 * kLineBytes);
static_assert(offsetof(WorkerHeader, request_head) == 2 * kLineBytes);
static_assert(offsetof(WorkerHeader, bulk_tail) == 3 * kLineBytes);
static_assert(offsetof(WorkerHeader, worker_sleeping) == 4 * kLineBytes);
static_assert(offsetof(WorkerHeader, heartbeat) == 5 * kLineBytes);
static_assert(offsetof(WorkerHeader, claimed) == 6 * kLineBytes);
static_assert(std::is_standard_layout_v<EngineHeader> && sizeof(EngineHeader) <= kRingOffset);
static_assert(std::is_standard_layout_v<WorkerHeader> && sizeof(WorkerHeader) <= kRingOffset);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint64_t>) == 8 && sizeof(std::atomic<std::uint32_t>) == 4);

}  // namespace dspool::ipc
