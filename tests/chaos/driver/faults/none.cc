#include "tests/chaos/driver/faults/all.h"

namespace dspool::chaos {
namespace {

// The workload alone: what the others are compared with.
class None final : public Fault {
 public:
  void strike(Scene& /*scene*/) override {}
};

}  // namespace

std::unique_ptr<Fault> make_none() { return std::make_unique<None>(); }

}  // namespace dspool::chaos
