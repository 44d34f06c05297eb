"""A session as a mapping. What the engine is told of changes is in tests/python_worker."""

import gc
from typing import Any

import pytest
from dspool_worker import Session
from dspool_worker._native import SessionState, commit, roll_back


def test_is_a_mutable_mapping() -> None:
    session = Session("s", {"a": 1})
    session["b"] = [2]
    assert session["a"] == 1
    assert session.get("missing") is None
    assert session.get("missing", 7) == 7
    assert "b" in session
    assert "c" not in session
    assert len(session) == 2
    assert sorted(session) == ["a", "b"]
    assert dict(session) == {"a": 1, "b": [2]}
    assert session.setdefault("a", 9) == 1
    assert session.pop("a") == 1
    session.update(c=3)
    del session["b"]
    assert dict(session.items()) == {"c": 3}
    session.clear()
    assert len(session) == 0


def test_what_is_changed_in_place_stays_changed() -> None:
    session = Session("s", {"turns": [1], "data": b"raw"})
    session["turns"].append(2)
    session.setdefault("new", {})["key"] = "value"
    assert session["turns"] == [1, 2]
    assert session["new"] == {"key": "value"}
    assert session["data"] == b"raw"


def test_what_it_was_filled_with_is_left_alone() -> None:
    turns = [1]
    session = Session("s", {"turns": turns})
    session["turns"].append(2)
    assert turns == [1]


def test_a_missing_key_is_a_key_error() -> None:
    session = Session("s")
    with pytest.raises(KeyError, match="missing"):
        session["missing"]
    with pytest.raises(KeyError, match="missing"):
        del session["missing"]


def test_keys_are_iterated_in_one_order_wherever_the_session_is_served() -> None:
    session = Session("s", {"b": 1, "a": 2})
    session["ä"] = session["Z"] = 3
    assert list(session) == ["Z", "a", "b", "ä"]


def test_a_text_that_grows_is_an_append() -> None:
    log = "zwölf " * 20
    session = Session("s", {"log": log, "short": "x"})
    session["log"] += "💡"
    session["short"] += "y"
    assert commit(session) == ({"short": "xy"}, [], {"log": "💡"})
    session["log"] += "more"
    assert commit(session) == ({}, [], {"log": "more"})
    session["log"] = "!" + session["log"]
    assert commit(session) == ({"log": f"!{log}💡more"}, [], {})
    session["log"] = session["log"][:-1]
    assert commit(session) == ({"log": f"!{log}💡mor"}, [], {})
    session["log"] += "e"
    roll_back(session)
    assert session["log"] == f"!{log}💡mor"
    assert commit(session) == ({}, [], {})


def test_clearing_and_refilling_is_seen_field_by_field() -> None:
    session = Session("s", {"a": 1, "l": [1], "d": {"x": 1}})
    session.clear()
    session.update(a=1, l=[1, 2], e=3)
    assert commit(session) == ({"e": 3}, ["d"], {"l": [2]})
    session.clear()
    roll_back(session)
    assert dict(session) == {"a": 1, "e": 3, "l": [1, 2]}


@pytest.mark.parametrize("key", [1, None, b"a", ("a",)])
def test_keys_are_str(key: Any) -> None:
    with pytest.raises(TypeError, match="keys are str"):
        Session("s")[key] = 1


def test_a_key_of_a_subclass_counts_as_its_text() -> None:
    class Key(str):
        def __hash__(self) -> int:
            return 1

    session = Session("s")
    session[Key("a")] = 1
    session["a"] = 2
    assert dict(session) == {"a": 2}
    assert session[Key("a")] == 2
    assert Key("a") in session


def test_refuses_fields_that_cannot_be_kept() -> None:
    with pytest.raises(TypeError, match="is a set"):
        Session("s", {"a": {1}})


def test_has_an_id_and_a_deadline() -> None:
    assert Session().id == ""
    session = Session("s")
    assert session.id == "s"
    assert session.deadline is None
    assert session.time_left() is None
    assert repr(session) == "Session('s')"


def test_a_cycle_through_a_session_is_collected() -> None:
    class Witness:
        alive = 0

        def __init__(self) -> None:
            Witness.alive += 1

        def __del__(self) -> None:
            Witness.alive -= 1

    session = Session("s")
    session["self"] = [session, Witness()]
    del session
    gc.collect()
    assert Witness.alive == 0


def test_costs_no_dict_per_session() -> None:
    assert not hasattr(Session("s"), "__dict__")
    assert isinstance(Session("s"), SessionState)
