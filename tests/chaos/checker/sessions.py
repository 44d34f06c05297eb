"""Per-session linearizability, from what the callers were told alone.

A session is a log: every change appends its token, and answers tell where it stands and what came
before. So the order of changes need not be searched for: it is what the answers say, and each
answer only has to agree with all others, and with the clock.

The first change's token names a life of the session, which an end or an expiry finishes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from .evidence import CHANGE_NOTHING, CHANGES, NEVER, READS, Call, Evidence, Return
from .timing import Point, check_real_time
from .violation import Violation, violation


@dataclass
class Entry:
    """What stands at one place of a log, and who was told so first."""

    token: int
    told: Call
    claimed: bool  # by the answer to the token's own call


@dataclass
class Life:
    born: int
    entries: dict[int, Entry] = field(default_factory=dict)  # by place, from 1
    points: list[Point] = field(default_factory=list)
    counts: list[tuple[int, int, Call]] = field(default_factory=list)  # place, count, who saw it

    @property
    def first_seen_ns(self) -> int:
        return min((point.returned_ns for point in self.points), default=NEVER)

    @property
    def last_asked_ns(self) -> int:
        """When the last call began that surely saw it."""
        seen = (point.invoked_ns for point in self.points if point.returned_ns < NEVER)
        return max(seen, default=0)


@dataclass(frozen=True)
class End:
    """Something that may have ended a life, at a time between the two."""

    begin_ns: int
    end_ns: int
    surely: bool
    lines: tuple[str, ...]


def _in_order(lives: Iterable[Life]) -> list[Life]:
    """Lives as they followed each other. One that was told of late may have come first."""
    ordered: list[Life] = []
    for life in sorted(lives, key=lambda each: each.first_seen_ns):
        at = len(ordered)
        while at and _comes_first(life, ordered[at - 1]):
            at -= 1
        ordered.insert(at, life)
    return ordered


def _comes_first(one: Life, other: Life) -> bool:
    """Whether the clock allows only that."""
    return one.first_seen_ns < other.last_asked_ns and other.first_seen_ns >= one.last_asked_ns


def check_sessions(evidence: Evidence) -> Iterator[Violation]:
    by_session: dict[str, list[Call]] = defaultdict(list)
    for call in evidence.calls:
        if call.session:
            by_session[call.session].append(call)
    expiries: dict[str, list[End]] = defaultdict(list)
    for event in evidence.events:
        if event.kind == "session_ended" and event.detail == "expired":
            end = End(event.time_ns, event.time_ns, True, (event.line,))
            expiries[event.session].append(end)
    for session, calls in by_session.items():
        yield from SessionChecker(session, calls, expiries[session]).check()


class SessionChecker:
    def __init__(self, session: str, calls: list[Call], expiries: list[End]) -> None:
        self._session = session
        self._calls = calls
        self._by_token: dict[int, list[Call]] = defaultdict(list)
        for call in calls:
            if call.token and call.command not in READS:
                self._by_token[call.token].append(call)
        self._lives: dict[int, Life] = {}
        self._empty_reads: list[Call] = []
        self._ends = expiries + [
            End(call.invoked_ns, call.returned_ns, call.answer is not None, tuple(call.show()))
            for call in calls
            if call.command == "engine.end_session" and call.may_have_happened
        ]

    def check(self) -> Iterator[Violation]:
        for call in self._calls:
            answer = call.answer
            if answer is None:
                continue
            if call.command in READS:
                yield from self._take_read(call, answer)
            elif call.command in CHANGES and call.command != "engine.append":
                yield from self._take_change(call, answer)
        yield from self._place_appends()
        yield from self._check_repeats()
        for life in self._lives.values():
            yield from self._check_entries(life)
            yield from self._check_counts(life)
            self._add_unacknowledged(life)
            yield from check_real_time(self._session, life.points)
        yield from self._check_effects()
        yield from self._check_lives()

    # ---- what was told ----

    def _life(self, born: int) -> Life:
        return self._lives.setdefault(born, Life(born))

    def _take_read(self, call: Call, answer: Return) -> Iterator[Violation]:
        value = answer.value if isinstance(answer.value, dict) else {}
        log = value.get("log") or []
        if answer.version != len(log):
            yield violation(
                "versions",
                f"session {self._session!r} has version {answer.version} and {len(log)} changes",
                call.show(),
            )
        if not log:
            self._empty_reads.append(call)
            return
        life = self._life(value.get("born") or 0)
        for place, token in enumerate(log, start=1):
            yield from self._enter(life, place, token, call, claimed=False)
        life.points.append(Point(len(log), False, call.invoked_ns, answer.time_ns, call))
        life.counts.append((len(log), value.get("count") or 0, call))

    def _take_change(self, call: Call, answer: Return) -> Iterator[Violation]:
        value = answer.value if isinstance(answer.value, dict) else {}
        if value.get("token") != call.token or value.get("session") != call.session:
            return  # another call's answer, which is told elsewhere
        place = value["length"]
        if answer.version != place:
            yield violation(
                "versions",
                f"call {call.number} was answered at version {answer.version}, and was change "
                f"{place} of session {self._session!r}",
                call.show(),
            )
        life = self._life(value["born"])
        yield from self._enter(life, place, call.token, call, claimed=True)
        if place > 1:
            yield from self._enter(life, place - 1, value["previous"], call, claimed=False)
        elif value["born"] != call.token:
            yield violation(
                "linearizable",
                f"call {call.number} made the first change of a life that another call began",
                call.show(),
            )
        life.counts.append((place, value["count"], call))
        same = self._by_token[call.token]
        if call is self._first_answered(same):
            invoked = min(each.invoked_ns for each in same)
            life.points.append(Point(place, True, invoked, answer.time_ns, call))

    @staticmethod
    def _first_answered(calls: list[Call]) -> Call:
        return min((each for each in calls if each.answer), key=lambda each: each.returned_ns)

    def _enter(
        self, life: Life, place: int, token: int, told: Call, claimed: bool
    ) -> Iterator[Violation]:
        known = life.entries.get(place)
        if known is None:
            life.entries[place] = Entry(token, told, claimed)
            return
        if known.token == token:
            known.claimed |= claimed
            return
        acknowledged = known.claimed or claimed
        yield violation(
            "lost" if acknowledged else "linearizable",
            f"change {place} of session {self._session!r} is {known.token} to call "
            f"{known.told.number} and {token} to call {told.number}",
            known.told.show(),
            told.show(),
        )

    def _place_appends(self) -> Iterator[Violation]:
        """Changes without a worker tell their place, not their life."""
        for call in self._calls:
            answer = call.answer
            if call.command != "engine.append" or answer is None:
                continue
            place = answer.version
            lives = [
                life
                for life in self._lives.values()
                if place not in life.entries or life.entries[place].token == call.token
            ]
            if not lives and self._lives:
                yield violation(
                    "lost",
                    f"call {call.number} was acknowledged as change {place} of session "
                    f"{self._session!r}, where others stand in all lives of it",
                    call.show(),
                )
            for life in lives:
                if place in life.entries:
                    life.points.append(Point(place, True, call.invoked_ns, answer.time_ns, call))

    # ---- whether it fits ----

    def _check_repeats(self) -> Iterator[Violation]:
        for token, calls in self._by_token.items():
            answers = [call for call in calls if call.answer]
            for first, second in pairwise(answers):
                one, other = first.answer, second.answer
                if one is None or other is None:
                    continue
                if (one.value, one.version) == (other.value, other.version):
                    continue
                if isinstance(one.value, dict) and isinstance(other.value, dict):
                    lives = {one.value.get("born"), other.value.get("born")}
                    if len(lives) > 1 and self._ends:
                        continue  # its answer went with the life that it was of
                yield violation(
                    "once",
                    f"the operation with key {first.key!r} and token {token} was answered twice, "
                    "and not alike",
                    first.show(),
                    second.show(),
                )

    def _check_entries(self, life: Life) -> Iterator[Violation]:
        places: dict[int, int] = {}
        for place, entry in sorted(life.entries.items()):
            calls = self._by_token.get(entry.token)
            if not calls:
                yield violation(
                    "crossed",
                    f"change {place} of session {self._session!r} is {entry.token}, which nobody "
                    "asked of it",
                    entry.told.show(),
                )
                continue
            if entry.token in places:
                yield violation(
                    "once",
                    f"token {entry.token} is change {places[entry.token]} and change {place} of "
                    f"session {self._session!r}",
                    *(call.show() for call in calls),
                    entry.told.show(),
                )
            places[entry.token] = place
            if any(call.command in CHANGE_NOTHING for call in calls) or not any(
                call.may_have_happened for call in calls
            ):
                yield violation(
                    "state_applied",
                    f"call {calls[0].number} changed nothing, it was told, and is change {place} "
                    f"of session {self._session!r}",
                    *(call.show() for call in calls),
                    entry.told.show(),
                )

    def _check_counts(self, life: Life) -> Iterator[Violation]:
        sums = [0]
        while (entry := life.entries.get(len(sums))) is not None:
            calls = self._by_token.get(entry.token)
            sums.append(sums[-1] + (calls[0].by if calls else 0))
        for place, count, call in life.counts:
            if place < len(sums) and count != sums[place]:
                yield violation(
                    "linearizable",
                    f"call {call.number} saw the count {count} after change {place} of session "
                    f"{self._session!r}, and the changes add up to {sums[place]}",
                    call.show(),
                )

    def _add_unacknowledged(self, life: Life) -> None:
        """Changes that nobody was told of stand somewhere too, and not before they were asked."""
        answered = {point.call.token for point in life.points if point.changes}
        for place, entry in life.entries.items():
            calls = self._by_token.get(entry.token)
            if calls and entry.token not in answered:
                invoked = min(call.invoked_ns for call in calls)
                life.points.append(Point(place, True, invoked, NEVER, calls[0]))

    def _check_effects(self) -> Iterator[Violation]:
        """An operation without a key takes effect in one life."""
        seen: dict[int, int] = {}
        for life in self._lives.values():
            for entry in life.entries.values():
                calls = self._by_token.get(entry.token)
                before = seen.setdefault(entry.token, life.born)
                if before != life.born and calls and not calls[0].key:
                    yield violation(
                        "once",
                        f"token {entry.token} took effect in two lives of session "
                        f"{self._session!r}",
                        *(call.show() for call in calls),
                    )

    def _check_lives(self) -> Iterator[Violation]:
        lives = _in_order(life for life in self._lives.values() if life.points)
        for one, other in pairwise(lives):
            if other.first_seen_ns < one.last_asked_ns:
                yield violation(
                    "lost",
                    f"session {self._session!r} goes on where it was before it began anew",
                    self._show_lives(one, other),
                )
            elif not self._may_end_between(one.last_asked_ns, other.first_seen_ns):
                yield violation(
                    "lost",
                    f"session {self._session!r} began anew although nothing had ended it",
                    self._show_lives(one, other),
                )
        for call in self._empty_reads:
            yield from self._check_empty_read(call, lives)

    def _may_end_between(self, after_ns: int, before_ns: int) -> bool:
        return any(end.end_ns >= after_ns and end.begin_ns <= before_ns for end in self._ends)

    def _check_empty_read(self, call: Call, lives: list[Life]) -> Iterator[Violation]:
        before = [life for life in lives if life.first_seen_ns < call.invoked_ns]
        if not before:
            return
        last = before[-1]
        if not self._may_end_between(last.last_asked_ns, call.returned_ns):
            yield violation(
                "lost",
                f"call {call.number} found session {self._session!r} empty although nothing had "
                "ended it",
                last.points[0].call.show(),
                call.show(),
            )

    @staticmethod
    def _show_lives(one: Life, other: Life) -> list[str]:
        seen = [point for point in one.points if point.returned_ns < NEVER]
        latest = max(seen or one.points, key=lambda point: point.invoked_ns)
        earliest = min(other.points, key=lambda point: point.returned_ns)
        return [*latest.call.show(), *earliest.call.show()]
