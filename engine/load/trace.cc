#include "engine/load/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <unordered_map>

#include "dspool/session_id.h"
#include "engine/load/text_file.h"

namespace dspool::load {
namespace {

constexpr std::uint64_t kBytesPerToken = 4;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;
constexpr double kLatestMs = 1e15;  // in nanoseconds it still fits

// Splits a line at its commas. The known forms quote nothing.
std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> cells;
  for (std::size_t begin = 0;;) {
    const std::size_t comma = line.find(',', begin);
    cells.push_back(line.substr(begin, comma - begin));
    if (comma == std::string_view::npos) return cells;
    begin = comma + 1;
  }
}

// Reads all of `text` as a number.
template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// A count of nanoseconds since 1970 reaches to the year 2262.
constexpr unsigned kFirstYear = 1970;
constexpr unsigned kLastYear = 2261;

// "2023-11-16 18:15:46.6805900" or "2024-05-10T00:00:00.009930+00:00", always UTC.
std::optional<std::chrono::nanoseconds> time_in(std::string_view text) {
  constexpr std::size_t kWholeSeconds = 19;
  if (text.ends_with("+00:00")) text.remove_suffix(6);
  if (text.ends_with("Z")) text.remove_suffix(1);
  const bool separated = text.size() >= kWholeSeconds && text[4] == '-' && text[7] == '-' &&
                         (text[10] == ' ' || text[10] == 'T') && text[13] == ':' && text[16] == ':';
  if (!separated) return std::nullopt;
  const auto part = [&](std::size_t begin, std::size_t size) {
    return number_in<unsigned>(text.substr(begin, size));
  };
  const auto year = part(0, 4), month = part(5, 2), day = part(8, 2);
  const auto hour = part(11, 2), minute = part(14, 2), second = part(17, 2);
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (*year < kFirstYear || *year > kLastYear) return std::nullopt;
  if (*hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month), std::chrono::day(*day)};
  if (!date.ok()) return std::nullopt;
  std::chrono::nanoseconds time = std::chrono::sys_days(date).time_since_epoch();
  time += std::chrono::hours(*hour) + std::chrono::minutes(*minute) + std::chrono::seconds(*second);
  const std::string_view fraction = text.substr(kWholeSeconds);
  if (fraction.empty()) return time;
  const std::optional<double> part_of_second = number_in<double>(fraction);
  if (!fraction.starts_with('.') || !part_of_second || *part_of_second < 0) return std::nullopt;
  return time + std::chrono::nanoseconds(std::llround(*part_of_second * 1e9));
}

std::optional<std::chrono::nanoseconds> milliseconds_in(std::string_view text) {
  const std::optional<double> ms = number_in<double>(text);
  if (!ms || !(*ms >= 0 && *ms <= kLatestMs / 1e3)) return std::nullopt;
  return std::chrono::nanoseconds(std::llround(*ms * 1e6));
}

std::optional<std::uint32_t> bytes_in(std::string_view text, std::uint64_t unit) {
  const std::optional<std::uint64_t> number = number_in<std::uint64_t>(text);
  if (!number || *number > kMostBytes / unit) return std::nullopt;
  return static_cast<std::uint32_t>(*number * unit);
}

// Where the columns of one of the two forms stand.
struct Columns {
  std::size_t count = 0;
  std::size_t time = 0;
  std::optional<std::size_t> session;
  std::size_t input = 0;
  std::size_t output = 0;

  static std::optional<Columns> of(std::string_view header) {
    const std::vector<std::string_view> names = split(header);
    const auto place = [&](std::string_view name) -> std::optional<std::size_t> {
      const auto found = std::ranges::find(names, name);
      if (found == names.end()) return std::nullopt;
      return static_cast<std::size_t>(found - names.begin());
    };
    const bool azure = place("TIMESTAMP").has_value();
    const auto time = place(azure ? "TIMESTAMP" : "timestamp_ms");
    const auto input = place(azure ? "ContextTokens" : "input_bytes");
    const auto output = place(azure ? "GeneratedTokens" : "output_bytes");
    const auto session = azure ? std::nullopt : place("session_id");
    if (!time || !input || !output || (!azure && !session)) return std::nullopt;
    return Columns{.count = names.size(),
                   .time = *time,
                   .session = session,
                   .input = *input,
                   .output = *output};
  }
};

}  // namespace

Result<Trace> parse_trace(std::string_view text, std::string_view source_name) {
  Lines lines(text, source_name);
  const std::optional<Columns> columns = Columns::of(lines.next().value_or(""));
  if (!columns) {
    return lines.error(
        "the header must be timestamp_ms,session_id,input_bytes,output_bytes or "
        "TIMESTAMP,ContextTokens,GeneratedTokens");
  }
  const bool azure = !columns->session;
  const std::uint64_t unit = azure ? kBytesPerToken : 1;
  Trace trace;
  std::unordered_map<std::string_view, std::uint32_t> sessions;
  while (const std::optional<std::string_view> line = lines.next()) {
    if (line->empty()) continue;
    const std::vector<std::string_view> cells = split(*line);
    if (cells.size() != columns->count) {
      return lines.error(
          fmt::format("{} columns, where the header has {}", cells.size(), columns->count));
    }
    const auto time = azure ? time_in(cells[columns->time]) : milliseconds_in(cells[columns->time]);
    if (!time) {
      return lines.error(azure ? fmt::format("'{}' is not a time of the years {} to {}",
                                             cells[columns->time], kFirstYear, kLastYear)
                               : fmt::format("'{}' is not a time in milliseconds, from 0 to {:.0f}",
                                             cells[columns->time], kLatestMs / 1e3));
    }
    Arrival arrival{.at = *time};
    for (const auto& [column, bytes] : {std::pair(columns->input, &arrival.input_bytes),
                                        std::pair(columns->output, &arrival.output_bytes)}) {
      const std::optional<std::uint32_t> size = bytes_in(cells[column], unit);
      if (!size) return lines.error(fmt::format("'{}' is not a size up to 1 GiB", cells[column]));
      *bytes = *size;
    }
    if (columns->session) {
      const std::string_view id = cells[*columns->session];
      if (!SessionId::valid(id)) {
        return lines.error(fmt::format("a session id has 1 to {} bytes", SessionId::kMaxBytes));
      }
      const auto next = static_cast<std::uint32_t>(trace.session_ids.size());
      const auto [session, added] = sessions.try_emplace(id, next);
      if (added) trace.session_ids.emplace_back(id);
      arrival.session = session->second;
    }
    trace.arrivals.push_back(arrival);
  }
  if (trace.arrivals.empty()) return lines.error("there is no arrival in this trace");
  std::ranges::stable_sort(trace.arrivals, {}, &Arrival::at);
  const std::chrono::nanoseconds first = trace.arrivals.front().at;
  for (Arrival& arrival : trace.arrivals) arrival.at -= first;
  return trace;
}

Result<Trace> read_trace(const std::filesystem::path& path) {
  return read_text(path).and_then(
      [&](const std::string& text) { return parse_trace(text, path.string()); });
}

}  // namespace dspool::load
