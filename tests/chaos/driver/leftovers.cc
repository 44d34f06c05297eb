#include "tests/chaos/driver/leftovers.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "tests/chaos/driver/clock.h"

namespace dspool::chaos {
namespace {

struct Process {
  std::string name;
  char state = '?';
  pid_t parent = 0;
};

std::map<pid_t, Process> all_processes() {
  std::map<pid_t, Process> all;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string number = entry.path().filename();
    if (number.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "stat");
    const std::string stat{std::istreambuf_iterator<char>(file), {}};
    const std::size_t open = stat.find('(');
    const std::size_t close = stat.rfind(") ");
    if (open == std::string::npos || close == std::string::npos) continue;
    Process& process = all[std::stoi(number)];
    process.name = stat.substr(open + 1, close - open - 1);
    process.state = stat[close + 2];
    process.parent = std::atoi(stat.c_str() + close + 4);
  }
  return all;
}

bool descends_from_here(const std::map<pid_t, Process>& all, pid_t pid) {
  for (auto at = all.find(pid); at != all.end(); at = all.find(at->second.parent)) {
    if (at->second.parent == ::getpid()) return true;
  }
  return false;
}

}  // namespace

std::map<pid_t, std::string> living_by_number() {
  std::map<pid_t, std::string> found;
  const auto all = all_processes();
  for (const auto& [pid, process] : all) {
    const bool lives = process.state != 'Z' && process.state != 'X';
    if (lives && descends_from_here(all, pid)) found[pid] = process.name;
  }
  return found;
}

void adopt_orphans() { ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

std::vector<std::string> living_descendants() {
  std::vector<std::string> names;
  for (const auto& [pid, name] : living_by_number())
    names.push_back(name + " (" + std::to_string(pid) + ")");
  return names;
}

Leftovers look_for_leftovers(std::chrono::milliseconds patience,
                             const test::HeldResources& before) {
  constexpr std::chrono::milliseconds kSlice{10};
  const auto until = Clock::now() + patience;
  Leftovers left;
  do {
    left = {.processes = living_descendants(), .held = test::held_resources()};
    if (left.processes.empty() && left.held == before) return left;
    std::this_thread::sleep_for(kSlice);
  } while (Clock::now() < until);
  for (const auto& [pid, name] : living_by_number()) ::kill(pid, SIGKILL);
  return left;
}

}  // namespace dspool::chaos
