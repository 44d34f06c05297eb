// What a pool uses, once a second, as lines of samples.csv: for soaks, which show whether any of it
// grows.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <stop_token>
#include <thread>

#include "dspool/engine.h"

namespace dspool::chaos {

class Sampler {
 public:
  // The engine outlives *this.
  Sampler(const Engine& engine, const std::filesystem::path& directory);
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

 private:
  void run(const std::stop_token& stopped);
  void take();

  const Engine& engine_;
  std::ofstream csv_;
  std::jthread thread_;
};

}  // namespace dspool::chaos
