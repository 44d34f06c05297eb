// What a worker does to an engine by a seed, after it has won its trust by some true answers.
//
//   a prank  is bad manners that the engine bears: the worker goes on serving afterwards.
//   a crime  is what it is replaced for. It lasts until the worker is killed.
//
// One lie is never told: a well-formed wrong answer to a call that the worker was given. That is
// its own session's misfortune, and nothing that an engine could see. So nothing is scribbled over
// a true answer before the engine has read it.
#pragma once

#include <cstdint>
#include <random>
#include <span>

#include "tests/chaos/counting_worker.h"
#include "tests/chaos/raw_channel.h"

namespace dspool::chaos {

class Hostility {
 public:
  Hostility(RawChannel& raw, CountingWorker& worker, std::uint64_t seed)
      : raw_(raw), worker_(worker), random_(seed) {}

  // Returns when the engine drains the worker, or is gone.
  void run();

 private:
  struct Act {
    const char* name;
    void (Hostility::*perform)();
    unsigned weight = 8;
  };
  void perform(std::span<const Act> acts);
  bool serve(std::uint64_t requests);
  [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  std::uint64_t any_number();
  void ring();
  void wait_until_read();
  template <typename Step>
  [[noreturn]] void for_ever(Step step);

  // ---- pranks ----
  void ring_like_mad();
  void change_the_bells();
  void pretend_to_sleep();
  void doze();
  void babble_on_the_control_socket();
  void hand_out_descriptors();
  void print_garbage();

  // ---- crimes ----
  void scribble();
  void lie_about_the_tail();
  void lie_about_the_head();
  void change_lengths();
  void forge_an_answer();
  void answer_twice();
  void send_answers_nobody_asked_for();
  void send_garbled_answers();
  void send_unknown_types();
  void send_pongs_for_ever();
  void be_ready_again();
  void fail_after_all();
  void punch_a_hole();
  void emit_what_cannot_be();
  void emit_without_end();
  void emit_after_the_answer();
  void name_bodies_elsewhere();
  void hand_over_anything();
  void die();
  void die_with_full_bells();
  void cut_the_wires();
  void hang();
  void stop();

  static std::span<const Act> pranks();
  static std::span<const Act> crimes();

  RawChannel& raw_;
  CountingWorker& worker_;
  std::mt19937_64 random_;
};

}  // namespace dspool::chaos
