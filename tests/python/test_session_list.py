"""Lists that a session hands out: to everybody lists, to the engine appends where they grew."""

import copy
import gc
import heapq
import json
import operator
import pickle
import random
from collections.abc import Callable
from typing import Any

import pytest
from dspool_worker import Session
from dspool_worker._native import commit, decode, encode, roll_back

NOTHING: tuple[dict[str, Any], list[str], dict[str, Any]] = ({}, [], {})
Turns = list[dict[str, Any]]


def warm(**fields: Any) -> Session:
    """A session whose lists are kept decoded, as after a command that used them."""
    session = Session("s", fields)
    for key in fields:
        len(session[key])
    assert commit(session) == NOTHING
    return session


def grown(**fields: Any) -> tuple[dict[str, Any], list[str], dict[str, Any]]:
    return {}, [], fields


def put(**fields: Any) -> tuple[dict[str, Any], list[str], dict[str, Any]]:
    return fields, [], {}


def turns(count: int = 3) -> Turns:
    return [{"role": "user", "parts": [i]} for i in range(count)]


# ---- growing ----


def extend_by_generator(session: Session) -> None:
    session["l"].extend(i for i in [4, 5])


def add_in_place(session: Session) -> None:
    session["l"] += [4, 5]


def append_to_a_variable(session: Session) -> None:
    items = session["l"]
    items.append(4)
    items.append(5)


def append_twice(session: Session) -> None:
    session["l"].append(4)
    session["l"].append(5)


def set_default(session: Session) -> None:
    session.setdefault("l", []).extend((4, 5))


def add_to_a_variable_in_place(session: Session) -> None:
    items = session["l"]
    items += (4, 5)


def insert_at_the_end(session: Session) -> None:
    session["l"].insert(3, 4)
    session["l"][4:] = [5]


def assign_a_longer_list(session: Session) -> None:
    session["l"] = session["l"] + [4, 5]


def assign_a_tuple(session: Session) -> None:
    session["l"] = (1, 2, 3, 4, 5)


def keep_the_method(session: Session) -> None:
    add = session.get("l").append
    add(4)
    add(5)


GROWING = [
    extend_by_generator,
    add_in_place,
    append_to_a_variable,
    append_twice,
    set_default,
    add_to_a_variable_in_place,
    insert_at_the_end,
    assign_a_longer_list,
    assign_a_tuple,
    keep_the_method,
]


@pytest.mark.parametrize("grow", GROWING)
@pytest.mark.parametrize("make", [warm, lambda **fields: Session("s", fields)])
def test_only_what_was_added_is_sent(
    grow: Callable[[Session], None], make: Callable[..., Session]
) -> None:
    session = make(l=[1, 2, 3])
    for _ in range(3):
        assert session["l"] == [1, 2, 3]
        assert commit(session) == NOTHING
        grow(session)
        assert list(session["l"]) == [1, 2, 3, 4, 5]
        assert commit(session) == grown(l=[4, 5])
        session["l"] = [1, 2, 3]
        assert commit(session) == put(l=[1, 2, 3])


@pytest.mark.parametrize("grow", GROWING)
def test_what_was_added_can_be_taken_back(grow: Callable[[Session], None]) -> None:
    session = warm(l=[1, 2, 3])
    for _ in range(3):
        grow(session)
        roll_back(session)
        assert session["l"] == [1, 2, 3]
        assert commit(session) == NOTHING


def test_growing_by_nothing_is_no_change() -> None:
    session = warm(l=[1])
    session["l"].extend([])
    session["l"] += []
    assert commit(session) == NOTHING


def test_an_item_that_cannot_be_sent_is_named_by_its_place() -> None:
    session = warm(l=[1, 2])
    session["l"].append({"x": {1}})
    with pytest.raises(TypeError, match=r'session\["l"\]\[2\].x is a set'):
        commit(session)
    roll_back(session)
    assert session["l"] == [1, 2]


def test_what_was_added_is_not_shared_with_who_added_it() -> None:
    session = warm(l=turns())
    mine: dict[str, Any] = {"role": "me", "parts": (1,)}
    session["l"].append(mine)
    assert commit(session) == grown(l=[{"role": "me", "parts": [1]}])
    mine["role"] = "you"
    assert session["l"][-1] == {"role": "me", "parts": [1]}
    assert session["l"][-1] is not mine
    assert commit(session) == NOTHING


def test_what_was_added_may_change_before_the_command_ends() -> None:
    session = warm(l=turns(1))
    mine: dict[str, Any] = {"a": 1}
    session["l"].append(mine)
    mine["b"] = 2
    session["l"][-1]["c"] = 3
    assert commit(session) == grown(l=[{"a": 1, "b": 2, "c": 3}])


def test_what_was_added_comes_back_as_what_it_is_encoded_to() -> None:
    class Level(int):
        pass

    session = warm(l=[1])
    session["l"].extend([Level(2), (3,), bytearray(b"4"), {"b": 1, "a": 2}])
    commit(session)
    assert session["l"] == [1, 2, [3], b"4", {"a": 2, "b": 1}]
    assert [type(item) for item in session["l"]] == [int, int, list, bytes, dict]
    assert list(session["l"][-1]) == ["a", "b"]


# ---- changing otherwise ----


def set_item(items: list[Any]) -> None:
    items[0] = 9


def set_slice(items: list[Any]) -> None:
    items[1:2] = []


def delete_item(items: list[Any]) -> None:
    del items[0]


def bypass(items: list[Any]) -> None:
    list.__setitem__(items, 0, 9)


def heap_replace(items: list[Any]) -> None:
    heapq.heapreplace(items, 9)


def pop_and_push(items: list[Any]) -> None:
    heapq.heappop(items)
    heapq.heappush(items, 0)


def multiply(items: list[Any]) -> None:
    items *= 2


def shuffle(items: list[Any]) -> None:
    items[0], items[2] = items[2], items[0]


CHANGING = [
    set_item,
    set_slice,
    delete_item,
    bypass,
    heap_replace,
    pop_and_push,
    shuffle,
    lambda items: items.insert(0, 9),
    lambda items: items.pop(),
    lambda items: items.remove(2),
    lambda items: items.clear(),
    lambda items: items.reverse(),
    lambda items: items.sort(reverse=True),
    lambda items: items.__setitem__(0, 9),
    lambda items: operator.setitem(items, 0, 9),
]


@pytest.mark.parametrize("change", CHANGING)
@pytest.mark.parametrize("then_append", [False, True])
def test_any_other_change_is_sent_as_a_whole(
    change: Callable[[list[Any]], Any], then_append: bool
) -> None:
    session = warm(l=[1, 2, 3])
    plain = [1, 2, 3]
    for target in (plain, session["l"]):
        change(target)
    if then_append:
        plain.append(7)
        session["l"].append(7)
    assert session["l"] == plain
    assert commit(session) == put(l=plain)
    assert session["l"] == plain
    assert commit(session) == NOTHING


@pytest.mark.parametrize("change", CHANGING)
def test_any_other_change_can_be_taken_back(change: Callable[[list[Any]], Any]) -> None:
    session = warm(l=[1, 2, 3])
    change(session["l"])
    session["l"].append(7)
    roll_back(session)
    assert session["l"] == [1, 2, 3]
    assert commit(session) == NOTHING


def test_repeating_in_place_is_growing() -> None:
    session = warm(l=[1, 2])
    session["l"] *= 2
    assert commit(session) == grown(l=[1, 2])
    multiply(session["l"])
    assert commit(session) == grown(l=[1, 2, 1, 2])


def test_a_function_may_change_a_list_and_return_it() -> None:
    def sorted_in_place(items: list[int]) -> list[int]:
        items.sort()
        return items

    session = warm(l=[3, 1, 2])
    sorted_in_place(session["l"]).append(4)
    assert commit(session) == put(l=[1, 2, 3, 4])
    session["l"] = [3, 1, 2]
    commit(session)
    session["l"] = sorted_in_place(session["l"])
    assert commit(session) == put(l=[1, 2, 3])


# ---- items that can be changed in place ----


def by_slice(items: Turns) -> Any:
    return items[1:][0]


def by_star(items: Turns) -> Any:
    _first, *rest = items
    return rest[0]


def by_match(items: Turns) -> Any:
    match items:
        case [_, second, *_]:
            return second
    raise AssertionError


def by_iterator(items: Turns) -> Any:
    iterator = iter(items)
    next(iterator)
    return next(iterator)


def by_pop(items: Turns) -> Any:
    item = items.pop(1)
    items.insert(1, item)
    return item


class Catches:
    """Equal to nothing, but remembers with what it was compared."""

    def __init__(self) -> None:
        self.caught: list[Any] = []

    def __eq__(self, other: object) -> bool:
        self.caught.append(other)
        return False

    __hash__ = None  # type: ignore[assignment]


def by_contains(items: Turns) -> Any:
    catches = Catches()
    assert catches not in items
    return catches.caught[1]


def by_comparison(items: Turns) -> Any:
    catches = Catches()
    assert items != [items[0], catches, items[2]]
    return catches.caught[0]


def by_index(items: Turns) -> Any:
    catches = Catches()
    with pytest.raises(ValueError, match="in list"):
        items.index(catches)  # type: ignore[arg-type]
    return catches.caught[1]


REACHING: list[Callable[[Turns], Any]] = [
    lambda items: items[1],
    lambda items: items[-2],
    lambda items: items[True],
    by_slice,
    by_star,
    by_match,
    by_iterator,
    by_pop,
    by_contains,
    by_comparison,
    by_index,
    lambda items: list(items)[1],
    lambda items: tuple(items)[1],
    lambda items: [*items][1],
    lambda items: sorted(items, key=lambda turn: turn["parts"])[1],
    lambda items: copy.copy(items)[1],
    lambda items: items.copy()[1],
    lambda items: (items + [])[1],  # noqa: RUF005
    lambda items: ([0] + items)[2],  # noqa: RUF005
    lambda items: (items * 1)[1],
    lambda items: (1 * items)[1],
    lambda items: next(item for _, item in zip(range(2), items, strict=False) if item["parts"][0]),
    lambda items: list(enumerate(items))[1][1],
    lambda items: list(reversed(items))[1],
    lambda items: list(map(dict.get, items, ["parts"] * 3)) and next(iter(items[1:])),
    lambda items: max(items, key=lambda turn: turn["parts"][0] == 1),
    lambda items: operator.getitem(items, 1),
    lambda items: operator.concat([0], items)[2],
    lambda items: operator.itemgetter(1)(items),
    lambda items: list.__getitem__(items, 1),
    lambda items: items.__getitem__(1),
    lambda items: items.__iter__().__reduce__()[1][0][1],
    lambda items: items.__reduce_ex__(4)[1][0][1],
    lambda items: gc.get_referents(items)[1],
    lambda items: sum([items], [])[1],  # noqa: RUF017
    lambda items: [item for item in items if item["parts"] == [1]].pop(),
]


@pytest.mark.parametrize("reach", REACHING)
@pytest.mark.parametrize("deep", [False, True])
def test_an_item_that_is_changed_in_place_is_noticed(
    reach: Callable[[Turns], Any], deep: bool
) -> None:
    session = warm(l=turns())
    item = reach(session["l"])
    assert item == {"role": "user", "parts": [1]}
    if deep:
        item["parts"].append(9)
    else:
        item["role"] = "me"
    session["l"].append({"role": "last"})
    expected: Turns = [*turns(), {"role": "last"}]
    expected[1] = item
    assert commit(session) == put(l=expected)
    item["role"] = "changed later"
    assert session["l"][1]["role"] != "changed later"


@pytest.mark.parametrize("reach", REACHING)
def test_an_item_that_was_only_looked_at_is_no_change(reach: Callable[[Turns], Any]) -> None:
    session = warm(l=turns())
    kept = [reach(session["l"]) for _ in range(2)]
    assert commit(session) == NOTHING
    kept[0]["role"] = "changed later"
    assert session["l"] == turns()
    session["l"].append(1)
    assert commit(session) == grown(l=[1])


@pytest.mark.parametrize("reach", REACHING)
def test_an_item_that_was_changed_in_place_can_be_taken_back(
    reach: Callable[[Turns], Any],
) -> None:
    session = warm(l=turns())
    reach(session["l"])["role"] = "me"
    roll_back(session)
    assert session["l"] == turns()
    assert commit(session) == NOTHING


# ---- lists that somebody keeps ----


@pytest.mark.parametrize("end", [commit, roll_back])
@pytest.mark.parametrize("items", [[1, 2, 3], turns()])
def test_a_list_that_is_kept_is_its_keepers_own(
    end: Callable[[Session], Any], items: list[Any]
) -> None:
    session = warm(l=items)
    kept = session["l"]
    end(session)
    kept.append(4)
    kept[0] = "mine"
    assert session["l"] == items
    assert session["l"] is not kept
    assert commit(session) == NOTHING
    session["l"] = kept
    assert commit(session) == put(l=["mine", *items[1:], 4])
    kept.clear()
    assert session["l"] == ["mine", *items[1:], 4]


def test_lists_that_change_places_are_two_puts() -> None:
    session = warm(a=[1], b=[2])
    session["a"], session["b"] = session["b"], session["a"]
    session["a"].append(3)
    assert commit(session) == put(a=[2, 3], b=[1])


def test_a_list_that_was_taken_out_and_changed_and_put_back_is_noticed() -> None:
    session = warm(l=[3, 1, 2])
    items = session.pop("l")
    heapq.heapify(items)
    items.append(4)
    session["l"] = items
    del items
    session["l"].append(5)
    assert commit(session) == put(l=[1, 3, 2, 4, 5])


def test_a_list_under_two_keys_becomes_two() -> None:
    session = warm(a=[1])
    session["b"] = session["a"]
    session["b"].append(2)
    assert commit(session) == ({"b": [1, 2]}, [], {"a": [2]})
    session["a"].append(3)
    assert session["b"] == [1, 2]


# ---- a list to everybody ----


def test_is_a_list_to_everybody() -> None:
    session = warm(l=[1, "two", [3]])
    items = session["l"]
    assert isinstance(items, list)
    assert items == [1, "two", [3]]
    assert items.__eq__([1, "two", [3]]) is True
    assert operator.eq([1, "two", [3]], items)
    assert repr(items) == "[1, 'two', [3]]"
    assert json.loads(json.dumps(items)) == items
    assert json.dumps(items, indent=1) == json.dumps([1, "two", [3]], indent=1)
    assert decode(encode(items)) == items
    assert items[-1:] + [4] == [[3], 4]  # noqa: RUF005
    assert (items == (1, "two", [3])) is False
    assert len({type(copied) for copied in (copy.copy(items), copy.deepcopy(items))} - {list}) == 0
    assert copy.deepcopy(items) == items
    assert copy.deepcopy(items)[2] is not items[2]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(items, protocol))  # noqa: S301
        assert type(again) is list
        assert again == items
    for made in (items + [], items * 2, items[:], items.copy(), [*items], sorted(items, key=str)):  # noqa: RUF005
        assert type(made) is list
    with pytest.raises(TypeError, match="unhashable"):
        hash(items)
    with pytest.raises(TypeError, match="can only concatenate list"):
        items + (1,)  # type: ignore[operator]  # noqa: RUF005
    with pytest.raises(TypeError, match="not iterable"):
        session["l"].extend(1)
    with pytest.raises(IndexError):
        items[3]
    assert type(items)([1, 2]) == [1, 2]


def test_other_types_may_add_themselves_to_it() -> None:
    class Adds:
        def __radd__(self, other: Any) -> str:
            return "added"

    assert warm(l=[1])["l"] + Adds() == "added"


def test_is_freed() -> None:
    session = warm(l=turns(100))
    kept = [session["l"] for _ in range(10)]
    commit(session)
    del kept
    gc.collect()
    before = sum(type(item).__name__ == "SessionList" for item in gc.get_objects())
    del session
    gc.collect()
    after = sum(type(item).__name__ == "SessionList" for item in gc.get_objects())
    assert after <= before


# ---- against plain lists ----


def random_item(rng: random.Random, plain: bool) -> Any:
    scalars = [rng.randint(-300, 300), rng.random(), "x" * rng.randint(0, 20), None, True, b"raw"]
    if plain or rng.random() < 0.5:
        return rng.choice(scalars)
    return rng.choice([{"a": rng.choice(scalars), "b": [1]}, [rng.choice(scalars)], []])


def change_in_place(rng: random.Random, items: list[Any]) -> None:
    for item in rng.sample(items, min(2, len(items))):
        if isinstance(item, dict):
            item["b"] = [rng.random()]
        elif isinstance(item, list):
            item.append(rng.randint(0, 9))


def random_step(seed: int, holder: Any, plain: bool) -> None:
    """The same step for the same seed and items, whether a session or a dict holds the list."""
    rng = random.Random(seed)  # noqa: S311
    many = [random_item(rng, plain) for _ in range(rng.randint(0, 3))]
    at = rng.randint(0, len(holder["l"]))
    step = rng.choice(STEPS)
    if step == "append":
        holder["l"].append(random_item(rng, plain))
    elif step == "extend":
        holder["l"].extend(many)
    elif step == "add":
        holder["l"] += many
    elif step == "append to a variable":
        items = holder["l"]
        items.append(random_item(rng, plain))
    elif step == "look":
        assert len(holder["l"][at:]) == len(list(holder["l"])) - at
    elif step == "insert":
        holder["l"].insert(at, random_item(rng, plain))
    elif step == "set slice":
        holder["l"][at : at + 2] = many
    elif step == "pop" and holder["l"]:
        holder["l"].pop()
    elif step == "reverse":
        holder["l"].reverse()
    elif step == "change items":
        change_in_place(rng, holder["l"])
    elif step == "change items of a copy":
        change_in_place(rng, list(holder["l"]))
    elif step == "append a copy of an item" and holder["l"]:
        holder["l"].append(copy.deepcopy(holder["l"][0]))
    elif step == "bypass":
        list.insert(holder["l"], at, 1)
    elif step == "assign":
        holder["l"] = holder["l"] + many
    elif step == "clear" and len(holder["l"]) > 40:
        holder["l"].clear()


STEPS = [
    *["append"] * 6,
    *["extend", "add", "append to a variable", "look", "append a copy of an item"] * 2,
    *["insert", "set slice", "pop", "reverse", "change items", "change items of a copy"],
    *["bypass", "assign", "clear"],
]


@pytest.mark.parametrize("plain", [True, False])
def test_after_random_steps_engine_and_session_agree(plain: bool) -> None:
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)  # noqa: S311
    session = Session("s", {"l": []})
    stored: list[Any] = []  # what the engine has
    kept: list[Any] = []
    appends_seen = 0
    for number in range(500):
        model = {"l": decode(encode(stored))}
        for _ in range(rng.randint(0, 3)):
            step = rng.randrange(2**32)
            random_step(step, model, plain)
            random_step(step, session, plain)
        assert session["l"] == model["l"] if rng.random() < 0.2 else True, (seed, number)
        if rng.random() < 0.1:
            kept = [*kept[-2:], session["l"]]
        if rng.random() < 0.25:
            roll_back(session)
        else:
            puts, deletes, appends = commit(session)
            assert not deletes
            assert not (puts and appends), (seed, number)
            appends_seen += len(appends)
            stored = puts.get("l", stored) + appends.get("l", [])
            assert stored == decode(encode(model["l"])), (seed, number)
        for held in kept:
            change_in_place(rng, held)
            held.append("changed behind its back")
        if rng.random() < 0.5:
            assert session["l"] == stored, (seed, number)
            assert commit(session) == NOTHING, (seed, number)
    assert appends_seen > 50, seed
