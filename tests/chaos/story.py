"""Evidence written by hand: a run in which all went well, told step by step, for tests to spoil."""

from __future__ import annotations

from typing import Any

from checker.evidence import Call, Event, Evidence, Lateness, Return

MS = 1_000_000


class Story:
    """Times are in milliseconds. Each step adds what a caller saw and what the engine recorded."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.events: list[Event] = []
        self.lateness = Lateness()
        self.run: dict[str, Any] = {"ttl_ms": 300_000, "pool_size": 1, "bound_ms": 100}
        self.findings: list[tuple[str, str]] = []
        self.rest: dict[str, Any] | None = {
            "attempts_in_flight": 0,
            "waiting_calls": 0,
            "active_workers": 1,
            "state_bytes": 0,
            "active_sessions": 0,
            "commits": 0,
            "late_answers": 0,
            "expired_sessions": 0,
            "processes": [],
            "descriptors_before": 9,
            "descriptors_after": 9,
            "mappings_before": 0,
            "mappings_after": 0,
        }
        self._requests = 0
        self._logs: dict[str, list[int]] = {}
        self._counts: dict[str, int] = {}
        self.event("worker_ready", 0, epoch=1)

    def event(self, kind: str, at: float, **members: Any) -> Event:
        every: dict[str, Any] = {
            "call": 0,
            "request": 0,
            "version": 0,
            "epoch": 0,
            "worker": 0,
            "attempt": 0,
            "session": "",
            "detail": "",
        }
        made = Event(kind=kind, time_ns=int(at * MS), line=f"{kind} at {at}", **every | members)
        self.events.append(made)
        return made

    def call(self, command: str, at: float, session: str = "s", **members: Any) -> Call:
        """A call that was invoked, and nothing else."""
        number = len(self.calls) + 1
        every: dict[str, Any] = {"key": "", "timeout_ms": 1000, "ttl_ms": None}
        args = {"token": members.pop("token", number)}
        made = Call(
            number=number,
            session=session,
            command=command,
            args=args,
            invoked_ns=int(at * MS),
            line=f"invoke {number} at {at}",
            **every | members,
        )
        self.calls.append(made)
        return made

    def returns(
        self,
        call: Call,
        at: float,
        code: str = "ok",
        version: int = 0,
        value: Any = None,
        state_applied: str | None = None,
    ) -> Return:
        applied = state_applied or ("yes" if code == "ok" else "no")
        made = Return(int(at * MS), code, applied, version, value, f"return {call.number} at {at}")
        call.returns.append(made)
        return made

    # ---- steps ----

    def change(self, at: float, session: str = "s", **members: Any) -> Call:
        """An `add` that takes two milliseconds."""
        call = self.call("add", at, session, **members)
        log = self._logs.setdefault(session, [])
        log.append(call.token)
        self._counts[session] = self._counts.get(session, 0) + 1
        self._execute(call, at, len(log) - 1, changes=True)
        self.returns(call, at + 2, version=len(log), value=self.answer_to(call))
        return call

    def answer_to(self, call: Call) -> dict[str, Any]:
        log = self._logs[call.session]
        return {
            "token": call.token,
            "session": call.session,
            "born": log[0],
            "length": len(log),
            "previous": log[-2] if len(log) > 1 else 0,
            "count": self._counts[call.session],
        }

    def read(self, at: float, session: str = "s") -> Call:
        call = self.call("read", at, session)
        log = self._logs.get(session, [])
        self._execute(call, at, len(log), changes=False)
        value = {
            "token": call.token,
            "session": session,
            "born": log[0] if log else 0,
            "log": list(log),
            "count": self._counts.get(session, 0),
        }
        self.returns(call, at + 2, version=len(log), value=value)
        return call

    def end(self, at: float, session: str = "s") -> Call:
        call = self.call("engine.end_session", at, session, token=0)
        self.returns(call, at + 2)
        number = call.number
        self.event("call_arrived", at + 0.5, call=number, session=session)
        self.event("session_ended", at + 1, session=session, detail="asked")
        self.event("call_ended", at + 1, call=number, session=session, detail="ok")
        self._logs.pop(session, None)
        self._counts.pop(session, None)
        return call

    def late(self, at: float, session: str = "s") -> Call:
        """A call that ends at its deadline, and whose attempt answers afterwards."""
        call = self.call("add", at, session, timeout_ms=5)
        version = len(self._logs.get(session, []))
        same = self._begin(call, at, version)
        ended = {"call": call.number, "session": session, "detail": "deadline_exceeded"}
        self.event("call_ended", at + 5, **ended)
        self.event("fenced", at + 8, **same, detail="ok")
        self.event("attempt_ended", at + 8, **same, detail="discarded")
        self.returns(call, at + 6, code="deadline_exceeded")
        if self.rest is not None:
            self.rest["late_answers"] += 1
        return call

    def _begin(self, call: Call, at: float, version: int) -> dict[str, Any]:
        self._requests += 1
        same = {
            "call": call.number,
            "request": self._requests,
            "version": version,
            "epoch": 1,
            "attempt": 1,
            "session": call.session,
        }
        self.event("call_arrived", at + 0.5, call=call.number, session=call.session)
        self.event("attempt_sent", at + 0.5, **same)
        return same

    def _execute(self, call: Call, at: float, version: int, changes: bool) -> None:
        same = self._begin(call, at, version)
        self.event("attempt_ended", at + 1, **same, detail="ok")
        after = version + (1 if changes else 0)
        if changes:
            commit = {"call": call.number, "request": same["request"], "version": after}
            self.event("commit", at + 1, session=call.session, **commit)
            if self.rest is not None:
                self.rest["commits"] += 1
        ended = {"call": call.number, "session": call.session, "version": after, "detail": "ok"}
        self.event("call_ended", at + 1, **ended)

    # ---- what became of it ----

    def evidence(self) -> Evidence:
        return Evidence(self.run, self.calls, self.events, self.lateness, self.rest, self.findings)

    def find(self, kind: str, which: int = 0) -> int:
        """The index of an event."""
        return [i for i, event in enumerate(self.events) if event.kind == kind][which]
