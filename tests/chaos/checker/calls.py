"""What each caller was promised for itself: one end, in time, with its own answer."""

from __future__ import annotations

from collections.abc import Iterator

from .evidence import Call, Evidence
from .violation import Violation, violation

HOPS = 4  # threads that a call's end goes through, and one to spare
NS_PER_MS = 1_000_000


def check_calls(evidence: Evidence) -> Iterator[Violation]:
    for call in evidence.calls:
        if not call.returns:
            yield violation("ended_once", f"call {call.number} never ended", call.show())
        if len(call.returns) > 1:
            yield violation(
                "ended_once", f"call {call.number} ended {len(call.returns)} times", call.show()
            )
        yield from _check_deadline(call, evidence)
        yield from _check_canaries(call)


def _check_deadline(call: Call, evidence: Evidence) -> Iterator[Violation]:
    if call.timeout_ms is None or not call.returns:
        return
    late = call.returned_ns - call.invoked_ns - call.timeout_ms * NS_PER_MS
    allowed = HOPS * evidence.lateness.longest_ns(call.invoked_ns, call.returned_ns)
    if late > evidence.run["bound_ms"] * NS_PER_MS + allowed:
        yield violation(
            "deadline",
            f"call {call.number} ended {late / NS_PER_MS:.0f} ms after its deadline, of which the "
            f"machine accounts for {allowed / NS_PER_MS:.0f} ms",
            call.show(),
        )


def _check_canaries(call: Call) -> Iterator[Violation]:
    for answer in call.returns:
        if not answer.ok or call.command.startswith("engine."):
            continue
        value = answer.value if isinstance(answer.value, dict) else {}
        if value.get("token") != call.token:
            yield violation(
                "crossed",
                f"call {call.number} asked with token {call.token} and was given the answer to "
                f"token {value.get('token')}",
                call.show(),
            )
        elif (value.get("session") or "") != call.session:
            yield violation(
                "crossed",
                f"call {call.number} of session {call.session!r} was executed in session "
                f"{value.get('session')!r}",
                call.show(),
            )
        elif not value.get("blob_is_ours", True):
            yield violation(
                "crossed", f"call {call.number} saw another session's field", call.show()
            )
        elif call.session == "" and value.get("length", 1) != 1:
            yield violation("crossed", f"the anonymous call {call.number} found state", call.show())
