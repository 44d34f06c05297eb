// A caller's own reading of its answer, without a hop through another thread: it holds the link's
// receive token until its call has ended, spins a little, then sleeps on the caller's bell and on
// the one that the reactor rings when the worker ends.
#pragma once

#include "engine/dispatch/gate.h"
#include "engine/worker/link.h"

namespace dspool::dispatch {

// Returns when `call` has ended. `crowded`: it sleeps without spinning. REQUIRES: the calling
// thread holds the link's token, and nobody is announced. At the call's deadline, after the
// worker's death and at the end the token goes to the reactor.
void receive_until_done(Gate& gate, worker::Link& link, BlockingCall& call, Waker& reactor,
                        bool crowded);

}  // namespace dspool::dispatch
