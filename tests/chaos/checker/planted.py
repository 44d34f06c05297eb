"""The bugs of ipc/planted_bug.h: under which fault each shows, and the rule that must catch it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    rule: str
    fault: str = "none"


BUGS = {
    "skip_fence": Bug("crossed", "leave_early"),
    "apply_late_answer": Bug("state_applied", "leave_early"),
    "trust_stale_hint": Bug("lost", "leave_early"),
    "leak_slot": Bug("slots"),
    "reuse_epoch": Bug("epochs", "kill_idle"),
    "answer_before_commit": Bug("commits"),
    "lose_append": Bug("lost"),
    "version_gap": Bug("versions"),
    "commit_key_twice": Bug("once"),
    "lose_state_with_worker": Bug("lost", "kill_mid_call"),
    "forget_waiter": Bug("ended_once"),
    "wrong_caller": Bug("crossed"),
    "deliver_twice": Bug("ended_once"),
    "end_late": Bug("deadline", "hold_gil"),
    "expire_in_use": Bug("expiry", "expiry"),
    "leak_state_memory": Bug("memory"),
    "leave_process": Bug("leftovers"),
    "count_wrong": Bug("truth"),
}
