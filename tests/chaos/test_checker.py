"""Each rule must refuse a run in which it is broken, and nothing may refuse one that went well."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from checker.evidence import UnreadableEvidenceError, read_evidence
from checker.judge import judge, report
from checker.planted import BUGS
from checker.violation import RULES, violation
from story import MS, Story

Spoil = Callable[[Story], None]


def rules_broken_by(story: Story) -> set[str]:
    return {each.rule for each in judge(story.evidence())}


def told() -> Story:
    """All went well: changes, reads, a late answer, an end, and the same name again."""
    story = Story()
    story.change(10)
    story.change(20)
    story.change(25, "t")
    story.read(30)
    story.late(40)
    story.change(60)
    story.end(70)
    story.read(80)
    story.change(90)
    story.read(100)
    return story


def test_a_run_that_went_well_is_accepted() -> None:
    assert judge(told().evidence()) == []


def test_concurrent_changes_may_stand_in_any_order() -> None:
    story = Story()
    first = story.call("add", 10)
    second = story.call("add", 10)
    for place, call in ((1, second), (2, first)):
        value = {
            "token": call.token,
            "session": "s",
            "born": second.token,
            "length": place,
            "previous": second.token if place == 2 else 0,
            "count": place,
        }
        story._execute(call, 10 + place, place - 1, changes=True)
        story.returns(call, 20 - place, version=place, value=value)
    assert rules_broken_by(story) == set()


@pytest.mark.parametrize("applied", ["unknown", None])
def test_what_was_not_acknowledged_may_have_happened(applied: str | None) -> None:
    story = Story()
    story.change(10)
    call = story.change(20)
    call.returns.clear()
    if applied:
        story.returns(call, 25, "store_failed", state_applied=applied)
    story.read(30)
    assert rules_broken_by(story) <= {"ended_once"}


def test_a_repeated_key_may_get_the_stored_answer() -> None:
    story = Story()
    first = story.change(10, key="k")
    again = story.call("add", 20, key="k", token=first.token)
    story.event("call_arrived", 21, call=again.number, session="s")
    story.event("call_ended", 21, call=again.number, session="s", version=1, detail="ok")
    story.returns(again, 22, version=1, value=first.returns[0].value)
    story.read(30)
    assert rules_broken_by(story) == set()


def test_who_is_told_late_may_have_lived_before_the_end() -> None:
    story = Story()
    change = story.change(10)
    end = story.end(15)
    story.read(30)
    change.returns[0] = replace(change.returns[0], time_ns=20 * MS)
    assert rules_broken_by(story) == set()
    story.calls.remove(end)
    assert "lost" in rules_broken_by(story)


def test_what_the_machine_was_late_is_allowed() -> None:
    story = told()
    call = story.calls[0]
    call.returns[0] = replace(call.returns[0], time_ns=call.invoked_ns + 2_000 * MS)
    assert "deadline" in rules_broken_by(story)
    story.lateness.spans.append((call.invoked_ns + 1_000 * MS, call.invoked_ns + 1_300 * MS))
    assert "deadline" not in rules_broken_by(story)


def test_a_run_that_was_stopped_is_judged_by_what_had_happened_by_then() -> None:
    story = told()
    story.events[:] = [event for event in story.events if event.time_ns < 45 * MS]
    assert rules_broken_by(story) >= {"ended_once", "lost", "slots"}
    assert story.rest is not None
    story.rest["stopped_ns"] = 45 * MS
    assert rules_broken_by(story) == set()
    story.rest["stopped_ns"] = 80 * MS
    assert rules_broken_by(story) == {"lost"}, "what was acknowledged before is not there"
    story.rest["calls_that_hang"] = 1
    assert "ended_once" in rules_broken_by(story)


# ---- each rule, broken ----


def never_ended(story: Story) -> None:
    story.calls[0].returns.clear()


def ended_twice(story: Story) -> None:
    story.calls[0].returns.append(story.calls[0].returns[0])


def ended_twice_within(story: Story) -> None:
    at = story.find("call_ended")
    story.events.insert(at, story.events[at])


def hung(story: Story) -> None:
    assert story.rest is not None
    story.rest["calls_that_hang"] = 1


def ended_late(story: Story) -> None:
    call = story.calls[4]
    call.returns[0] = replace(call.returns[0], time_ns=call.invoked_ns + 106 * MS)


def other_token(story: Story) -> None:
    story.calls[0].returns[0].value["token"] = 77


def other_session(story: Story) -> None:
    story.calls[0].returns[0].value["session"] = "t"


def nobodys_token(story: Story) -> None:
    story.calls[3].returns[0].value["log"][0] = 77
    story.calls[3].returns[0].value["born"] = 77


def other_sessions_token(story: Story) -> None:
    read = story.read(110, "t")
    read.returns[0].value["log"] = [3, 1]
    read.returns[0] = replace(read.returns[0], version=2)


def stale_read(story: Story) -> None:
    read = story.calls[3]
    value = read.returns[0].value | {"log": [1], "count": 1}
    read.returns[0] = replace(read.returns[0], version=1, value=value)


def early_change(story: Story) -> None:
    """A change was seen before it was asked for."""
    story.calls[5].invoked_ns = 60 * MS
    read = story.calls[3]
    value = read.returns[0].value | {"log": [1, 2, 6], "count": 3}
    read.returns[0] = replace(read.returns[0], version=3, value=value)


def wrong_count(story: Story) -> None:
    story.calls[3].returns[0].value["count"] = 5


def lost_change(story: Story) -> None:
    story.calls[3].returns[0].value["log"] = [1, 6]


def lost_session(story: Story) -> None:
    """It began anew though nobody had ended it."""
    story.calls[:] = [call for call in story.calls if call.command != "engine.end_session"]


def lost_commit(story: Story) -> None:
    del story.events[story.find("commit", 1)]


def emptied(story: Story) -> None:
    read = story.calls[3]
    value = read.returns[0].value | {"log": [], "count": 0, "born": 0}
    read.returns[0] = replace(read.returns[0], version=0, value=value)


def went_back(story: Story) -> None:
    """What was ended goes on."""
    read = story.read(110)
    value = read.returns[0].value | {"log": [1, 2, 6], "count": 3, "born": 1}
    read.returns[0] = replace(read.returns[0], version=3, value=value)


def done_twice(story: Story) -> None:
    read = story.calls[-1]
    value = read.returns[0].value
    value["log"].append(value["log"][0])
    value["count"] = 2
    read.returns[0] = replace(read.returns[0], version=2)


def key_done_twice(story: Story) -> None:
    first = story.change(110, key="k")
    again = story.change(120, key="k", token=first.token)
    assert again.token == first.token


def committed_twice(story: Story) -> None:
    commit = story.events[story.find("commit")]
    story.events.insert(story.find("commit", 1), replace(commit, version=2))


def applied_though_failed(story: Story) -> None:
    call = story.calls[1]
    call.returns[0] = replace(call.returns[0], code="worker_lost", state_applied="no")


def late_change_applied(story: Story) -> None:
    read = story.calls[-1]
    read.returns[0].value["log"].append(story.calls[4].token)
    read.returns[0].value["count"] = 2
    read.returns[0] = replace(read.returns[0], version=2)


def version_gap(story: Story) -> None:
    at = story.find("commit", 1)
    story.events[at] = replace(story.events[at], version=3)


def version_told_wrong(story: Story) -> None:
    story.calls[3].returns[0] = replace(story.calls[3].returns[0], version=3)


def answered_before_commit(story: Story) -> None:
    at = story.find("commit")
    story.events[at], story.events[at + 1] = story.events[at + 1], story.events[at]


def committed_anothers(story: Story) -> None:
    at = story.find("commit", 1)
    story.events[at] = replace(story.events[at], request=1)


def ran_beside(story: Story) -> None:
    sent = story.events[story.find("attempt_sent")]
    story.events.insert(story.find("attempt_sent") + 1, replace(sent, request=99))


def sent_for_ended(story: Story) -> None:
    sent = story.events[story.find("attempt_sent")]
    story.events.append(replace(sent, request=99))


def sent_stale(story: Story) -> None:
    at = story.find("attempt_sent", 1)
    story.events[at] = replace(story.events[at], version=0)


def out_of_turn(story: Story) -> None:
    at = story.find("call_arrived")
    story.events.insert(at, replace(story.events[at], call=50))


def committed_after_fence(story: Story) -> None:
    fence = story.events[story.find("fenced")]
    commit = replace(fence, kind="commit", version=3, detail="")
    story.events.insert(story.find("fenced") + 1, commit)


def fenced_for_nothing(story: Story) -> None:
    at = story.find("attempt_ended")
    story.events.insert(at, replace(story.events[at], kind="fenced"))


def epoch_again(story: Story) -> None:
    story.event("worker_lost", 200, epoch=1)
    story.event("worker_ready", 201, epoch=1)


def sent_to_the_dead(story: Story) -> None:
    story.event("worker_lost", 200, epoch=1)
    story.change(210)


def expired_in_use(story: Story) -> None:
    story.run["ttl_ms"] = 300
    story.event("session_ended", 200, session="s", detail="expired")
    assert story.rest is not None
    story.rest["expired_sessions"] = 1


def told_expired(story: Story) -> None:
    call = story.call("add", 110, "t")
    story.returns(call, 111, code="session_expired")


def finding_of(rule: str) -> Spoil:
    def spoil(story: Story) -> None:
        story.findings.append((rule, "seen by a fault"))

    return spoil


def spoil_rest(member: str, value: object) -> Spoil:
    def spoil(story: Story) -> None:
        assert story.rest is not None
        story.rest[member] = value

    spoil.__name__ = member
    return spoil


def without_rest(story: Story) -> None:
    story.rest = None


def never_answered(story: Story) -> None:
    del story.events[story.find("attempt_ended")]


BREACHES: list[tuple[str, Spoil]] = [
    ("evidence", without_rest),
    ("evidence", spoil_rest("events_dropped", 1)),
    ("ended_once", never_ended),
    ("ended_once", ended_twice),
    ("ended_once", ended_twice_within),
    ("ended_once", hung),
    ("deadline", ended_late),
    ("crossed", other_token),
    ("crossed", other_session),
    ("crossed", nobodys_token),
    ("crossed", other_sessions_token),
    ("linearizable", stale_read),
    ("linearizable", early_change),
    ("linearizable", wrong_count),
    ("lost", lost_change),
    ("lost", lost_session),
    ("lost", lost_commit),
    ("lost", emptied),
    ("lost", went_back),
    ("once", done_twice),
    ("once", key_done_twice),
    ("once", committed_twice),
    ("state_applied", applied_though_failed),
    ("state_applied", late_change_applied),
    ("versions", version_gap),
    ("versions", version_told_wrong),
    ("commits", answered_before_commit),
    ("commits", committed_anothers),
    ("order", ran_beside),
    ("order", sent_for_ended),
    ("order", sent_stale),
    ("order", out_of_turn),
    ("fencing", committed_after_fence),
    ("fencing", fenced_for_nothing),
    ("epochs", epoch_again),
    ("epochs", sent_to_the_dead),
    ("expiry", expired_in_use),
    ("expiry", told_expired),
    ("slots", spoil_rest("attempts_in_flight", 1)),
    ("slots", spoil_rest("waiting_calls", 1)),
    ("slots", spoil_rest("active_workers", 0)),
    ("slots", never_answered),
    ("memory", spoil_rest("state_bytes", 64)),
    ("memory", spoil_rest("active_sessions", 1)),
    ("leftovers", spoil_rest("processes", ["sleep (7)"])),
    ("leftovers", spoil_rest("descriptors_after", 10)),
    ("leftovers", spoil_rest("mappings_after", 1)),
    ("truth", spoil_rest("commits", 77)),
    ("truth", spoil_rest("late_answers", 77)),
    ("truth", spoil_rest("expired_sessions", 77)),
    ("told", finding_of("told")),
    ("secrets", finding_of("secrets")),
]


@pytest.mark.parametrize(
    ("rule", "spoil"), BREACHES, ids=[f"{rule}-{spoil.__name__}" for rule, spoil in BREACHES]
)
def test_a_breach_is_told(rule: str, spoil: Spoil) -> None:
    story = told()
    spoil(story)
    found = judge(story.evidence())
    assert rule in {each.rule for each in found}
    assert RULES[rule] in report(found)


def test_the_planted_bugs_are_those_of_the_engine() -> None:
    header = Path(__file__).parents[2] / "ipc" / "planted_bug.h"
    table = header.read_text().partition("kPlantedBugs{")[2].partition("};")[0]
    assert set(re.findall(r'"(\w+)"', table)) == set(BUGS)


def test_the_readme_names_every_fault_bug_and_rule() -> None:
    folder = Path(__file__).parent
    readme = (folder / "README.md").read_text()
    faults = re.findall(r'^ *\{"(\w+)"', (folder / "driver" / "faults.cc").read_text(), re.M)
    assert faults
    assert [fault for fault in faults if f"`ChaosTrialTest.{fault}`" not in readme] == []
    for name, bug in BUGS.items():
        assert re.search(rf"^\| `{name}` \| .* \| `{bug.rule}` \|$", readme, re.M), name
    for rule, promise in RULES.items():
        assert f"| `{rule}` | {promise} |" in readme


def test_every_rule_has_a_breach_and_every_bug_a_rule() -> None:
    assert {rule for rule, _ in BREACHES} == set(RULES)
    assert {bug.rule for bug in BUGS.values()} <= set(RULES)


def test_a_rule_that_is_not_there_cannot_be_broken() -> None:
    with pytest.raises(ValueError, match="no rule"):
        violation("politeness", "it did not say please")


def test_evidence_that_is_not_there_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableEvidenceError):
        read_evidence(tmp_path)


def test_evidence_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"ttl_ms":1000,"pool_size":2}\n')
    (tmp_path / "calls.jsonl").write_text(
        '{"type":"invoke","call":1,"session":"s","command":"add","args":{"token":5},"key":"",'
        '"max_retries":0,"timeout_ms":50,"time_ns":10}\n'
        '{"type":"return","call":1,"time_ns":20,"code":"worker_lost","state_applied":"no",'
        '"attempts":1,"worker":"worker-0","message":"gone"}\n'
    )
    (tmp_path / "events.jsonl").write_text(
        '{"kind":"worker_ready","time_ns":1,"call":0,"request":0,"version":0,"epoch":1,"worker":0,'
        '"attempt":0,"session":"","detail":""}\n'
    )
    (tmp_path / "lateness.jsonl").write_text('{"from_ns":5,"to_ns":9}\n{"from_ns":20,"to_ns":40}\n')
    evidence = read_evidence(tmp_path)
    assert evidence.rest is None
    [call] = evidence.calls
    assert (call.token, call.timeout_ms, call.returns[0].code) == (5, 50, "worker_lost")
    assert not call.may_have_happened
    assert evidence.events[0].epoch == 1
    assert evidence.lateness.longest_ns(1, 15) == 4
