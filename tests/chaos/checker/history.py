"""The engine's own history, event by event, and whether callers were told what it says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from .evidence import CHANGES, NEVER, READS, Call, Event, Evidence
from .violation import Violation, violation

NS_PER_MS = 1_000_000


@dataclass
class KnownCall:
    arrived: Event
    ended: Event | None = None
    commit: Event | None = None


@dataclass
class Attempt:
    sent: Event
    ended: Event | None = None
    fenced: Event | None = None
    ended_before_call: bool = False

    @property
    def running(self) -> bool:
        return self.ended is None


@dataclass
class State:
    """A session, as the events so far leave it."""

    version: int = 0
    running: Attempt | None = None
    last_commit: Event | None = None


class HistoryChecker:
    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._calls: dict[int, KnownCall] = {}
        self._open: dict[tuple[str, int], dict[int, Event]] = defaultdict(dict)  # calls by arrival
        self._attempts: dict[int, Attempt] = {}
        self._sessions: dict[tuple[str, int], State] = defaultdict(State)
        self._living: dict[int, Event] = {}  # the workers that are ready, by place
        self._epochs: dict[int, Event] = {}

    def check(self) -> Iterator[Violation]:
        handlers = {
            "call_arrived": self._call_arrived,
            "call_ended": self._call_ended,
            "attempt_sent": self._attempt_sent,
            "attempt_ended": self._attempt_ended,
            "fenced": self._fenced,
            "commit": self._commit,
            "worker_ready": self._worker_ready,
            "worker_lost": self._worker_lost,
            "session_loaded": self._session_loaded,
            "session_ended": self._session_ended,
        }
        for event in self._evidence.events:
            handler = handlers.get(event.kind)
            if handler is not None:
                yield from handler(event)
        if self._evidence.stopped_ns == NEVER:
            yield from self._check_loose_ends()

    @staticmethod
    def _key(event: Event) -> tuple[str, int]:
        """An anonymous call is a session of its own."""
        return event.session, 0 if event.session else event.call

    # ---- calls ----

    def _call_arrived(self, event: Event) -> Iterator[Violation]:
        if event.call in self._calls:
            arrived = self._calls[event.call].arrived
            yield violation("order", f"call {event.call} arrived twice", arrived.line, event.line)
            return
        self._calls[event.call] = KnownCall(event)
        self._open[self._key(event)][event.call] = event

    def _call_ended(self, event: Event) -> Iterator[Violation]:
        call = self._calls.get(event.call)
        if call is None:
            yield violation("ended_once", f"call {event.call} never arrived", event.line)
            return
        if call.ended is not None:
            lines = (call.ended.line, event.line)
            yield violation("ended_once", f"call {event.call} ended twice", *lines)
        call.ended = event
        self._open[self._key(event)].pop(event.call, None)
        if event.detail == "ok" and call.commit and call.commit.version != event.version:
            yield violation(
                "commits",
                f"call {event.call} was answered at version {event.version}, and made version "
                f"{call.commit.version}",
                call.commit.line,
                event.line,
            )

    # ---- attempts ----

    def _attempt_sent(self, event: Event) -> Iterator[Violation]:
        call = self._calls.get(event.call)
        if call is None or call.ended is not None:
            shown = [call.ended.line] if call and call.ended else []
            yield violation(
                "order",
                f"call {event.call}, which is over, was sent to a worker",
                shown,
                event.line,
            )
        known = self._attempts.get(event.request)
        if known is not None and (known.ended is None or known.ended.detail != "need_state"):
            yield violation(
                "order", f"attempt {event.request} was sent twice", known.sent.line, event.line
            )
        worker = self._living.get(event.worker)
        if worker is None or worker.epoch != event.epoch:
            yield violation(
                "epochs",
                f"attempt {event.request} was sent to epoch {event.epoch} in place {event.worker}, "
                "which does not live",
                event.line,
            )
        key = self._key(event)
        state = self._sessions[key]
        if state.running is not None and state.running.sent.request != event.request:
            yield violation(
                "order",
                f"attempt {event.request} runs beside attempt {state.running.sent.request} of "
                f"session {event.session!r}",
                state.running.sent.line,
                event.line,
            )
        oldest = next(iter(self._open[key].values()), event)
        if call is not None and call.ended is None and oldest.call != event.call:
            yield violation(
                "order", f"call {event.call} came before its turn", oldest.line, event.line
            )
        if event.version != state.version:
            yield violation(
                "order",
                f"attempt {event.request} was sent for version {event.version} of session "
                f"{event.session!r}, which has version {state.version}",
                event.line,
            )
        self._attempts[event.request] = state.running = Attempt(event)

    def _attempt_ended(self, event: Event) -> Iterator[Violation]:
        attempt = self._attempts.get(event.request)
        if attempt is None or not attempt.running:
            shown = [attempt.sent.line] if attempt else []
            yield violation(
                "order", f"attempt {event.request} ended, and did not run", shown, event.line
            )
            return
        attempt.ended = event
        call = self._calls.get(event.call)
        attempt.ended_before_call = call is not None and call.ended is None
        state = self._sessions[self._key(event)]
        if state.running is attempt:
            state.running = None
        if event.detail == "ok" and not attempt.ended_before_call:
            yield violation(
                "fencing",
                f"what attempt {event.request} answered was taken although its call had ended",
                attempt.sent.line,
                event.line,
            )

    def _fenced(self, event: Event) -> Iterator[Violation]:
        attempt = self._attempts.get(event.request)
        if attempt is None or not attempt.running:
            yield violation(
                "fencing", f"attempt {event.request} was fenced and did not run", event.line
            )
            return
        attempt.fenced = event
        call = self._calls.get(event.call)
        if call is None or call.ended is None:
            yield violation(
                "fencing",
                f"attempt {event.request} was fenced although its call had not ended",
                attempt.sent.line,
                event.line,
            )
        if (event.worker, event.epoch) != (attempt.sent.worker, attempt.sent.epoch):
            yield violation(
                "fencing",
                f"attempt {event.request} was sent to epoch {attempt.sent.epoch} and fenced in "
                f"epoch {event.epoch}",
                attempt.sent.line,
                event.line,
            )

    # ---- commits ----

    def _commit(self, event: Event) -> Iterator[Violation]:
        state = self._sessions[self._key(event)]
        if event.version != state.version + 1:
            shown = [state.last_commit.line] if state.last_commit else []
            yield violation(
                "versions",
                f"version {event.version} of session {event.session!r} follows version "
                f"{state.version}",
                shown,
                event.line,
            )
        state.version = event.version
        state.last_commit = event
        call = self._calls.get(event.call)
        if call is None:
            yield violation("commits", f"call {event.call} never arrived", event.line)
            return
        if call.commit is not None:
            yield violation(
                "once", f"call {event.call} committed twice", call.commit.line, event.line
            )
        call.commit = event
        if event.request == 0:  # the engine's own, without an attempt
            if call.ended is not None and call.ended.detail == "ok":
                yield self._late_commit(call.ended, event)
            return
        attempt = self._attempts.get(event.request)
        if attempt is None or attempt.sent.call != event.call:
            shown = [attempt.sent.line] if attempt else []
            yield violation(
                "commits",
                f"call {event.call} committed what attempt {event.request} of another call changed",
                shown,
                event.line,
            )
            return
        if attempt.fenced is not None or (attempt.ended and attempt.ended.detail != "ok"):
            yield violation(
                "fencing",
                f"attempt {event.request} committed and had been given up",
                attempt.sent.line,
                event.line,
            )
        elif call.ended is not None and (
            call.ended.detail == "ok" or not attempt.ended_before_call
        ):
            yield self._late_commit(call.ended, event)

    @staticmethod
    def _late_commit(ended: Event, commit: Event) -> Violation:
        return violation(
            "commits",
            f"call {commit.call} committed after it had ended as {ended.detail!r}",
            ended.line,
            commit.line,
        )

    # ---- workers and sessions ----

    def _worker_ready(self, event: Event) -> Iterator[Violation]:
        before = self._epochs.setdefault(event.epoch, event)
        if before is not event:
            yield violation("epochs", f"epoch {event.epoch} came twice", before.line, event.line)
        self._living[event.worker] = event

    def _worker_lost(self, event: Event) -> Iterator[Violation]:
        self._living.pop(event.worker, None)
        yield from ()

    def _session_loaded(self, event: Event) -> Iterator[Violation]:
        state = self._sessions[self._key(event)]
        if state.version not in (0, event.version):
            shown = [state.last_commit.line] if state.last_commit else []
            yield violation(
                "lost",
                f"session {event.session!r} had version {state.version} and came back from the "
                f"store with version {event.version}",
                shown,
                event.line,
            )
        state.version = event.version

    def _session_ended(self, event: Event) -> Iterator[Violation]:
        state = self._sessions[self._key(event)]
        if state.running is not None:
            yield violation(
                "order",
                f"session {event.session!r} ended while attempt {state.running.sent.request} of it "
                "ran",
                state.running.sent.line,
                event.line,
            )
        state.version = 0

    def _check_loose_ends(self) -> Iterator[Violation]:
        for number, call in self._calls.items():
            if call.ended is None:
                yield violation("ended_once", f"call {number} never ended", call.arrived.line)
        for number, attempt in self._attempts.items():
            if attempt.running:
                yield violation("slots", f"attempt {number} never ended", attempt.sent.line)


def check_history(evidence: Evidence) -> Iterator[Violation]:
    yield from HistoryChecker(evidence).check()
    yield from _check_acknowledged(evidence)
    if evidence.stopped_ns == NEVER:
        yield from _check_expiry(evidence)


def _check_acknowledged(evidence: Evidence) -> Iterator[Violation]:
    """Whatever was acknowledged as a version was committed as that, before it was told."""
    commits: dict[tuple[str, int], list[Event]] = defaultdict(list)
    for event in evidence.events:
        if event.kind == "commit":
            commits[event.session, event.version].append(event)
    for call in evidence.calls:
        answer = call.answer
        if answer is None or call.command not in CHANGES or not call.session:
            continue
        if answer.time_ns >= evidence.stopped_ns:
            continue
        known = commits[call.session, answer.version]
        if not any(commit.time_ns <= answer.time_ns for commit in known):
            yield violation(
                "lost",
                f"call {call.number} was acknowledged as version {answer.version} of session "
                f"{call.session!r}, which was not committed before",
                call.show(),
            )


def _check_expiry(evidence: Evidence) -> Iterator[Violation]:
    default_ttl_ms = int(evidence.run["ttl_ms"])
    calls: dict[str, list[Call]] = defaultdict(list)
    for call in evidence.calls:
        calls[call.session].append(call)
    commits: dict[str, Event] = {}  # the last one of each session
    expired: dict[str, list[Event]] = defaultdict(list)
    for event in evidence.events:
        if event.kind == "commit":
            commits[event.session] = event
        if event.kind == "session_ended" and event.detail == "expired":
            expired[event.session].append(event)
            yield from _check_end(event, calls[event.session], commits, default_ttl_ms)
    for session, known in calls.items():
        for call in known:
            for told in call.returns:
                if told.code == "session_expired" and not any(
                    event.time_ns <= told.time_ns for event in expired[session]
                ):
                    yield violation("expiry", f"session {session!r} has not expired", call.show())


def _check_end(
    event: Event, calls: list[Call], commits: dict[str, Event], default_ttl_ms: int
) -> Iterator[Violation]:
    ttl_ms = default_ttl_ms
    used_ns, shown = 0, [""]
    commit = commits.get(event.session)
    if commit is not None:
        used_ns, shown = commit.time_ns, [commit.line]
    for call in calls:
        if call.answer is None or call.answer.time_ns > event.time_ns:
            continue
        if call.command == "engine.create_session" and call.ttl_ms is not None:
            ttl_ms = call.ttl_ms
        # It was in use at some time from its invocation on.
        if call.command in CHANGES | READS and call.invoked_ns > used_ns:
            used_ns, shown = call.invoked_ns, call.show()
    if event.time_ns - used_ns < ttl_ms * NS_PER_MS:
        yield violation(
            "expiry",
            f"session {event.session!r} expired {(event.time_ns - used_ns) / NS_PER_MS:.0f} ms "
            f"after it was used, and its ttl is {ttl_ms} ms",
            shown,
            event.line,
        )
