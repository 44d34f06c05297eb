"""Types of fields: read by a parser of their own, and held to."""

from typing import Any, Literal

import pytest

pytest.importorskip("dspy")

import dspy
from dspool_worker.adapters.dspy.field_types import parse_type


@pytest.mark.parametrize(
    ("text", "written", "annotation"),
    [
        ("str", "str", str),
        (" String ", "str", str),
        ("INTEGER", "int", int),
        ("number", "float", float),
        ("boolean", "bool", bool),
        ("array", "list", list[Any]),
        ("object", "dict", dict[str, Any]),
        ("list [ int ]", "list[int]", list[int]),
        ("dict[string,list[float]]", "dict[str, list[float]]", dict[str, list[float]]),
        ("Literal['a', \"b's\", -2, true]", r"Literal['a', 'b\'s', -2, True]", None),
        (r"Literal['a\'b\\', 'c\nd']", r"Literal['a\'b\\', 'cnd']", None),
        ("Literal['a\nb']", "Literal['a\nb']", None),
        ("list[Literal['a']]", "list[Literal['a']]", list[Literal["a"]]),
        ("dspy.History", "History", dspy.History),
    ],
)
def test_is_read_and_written(text: str, written: str, annotation: Any) -> None:
    parsed = parse_type(text)
    assert str(parsed) == written
    assert parse_type(written) == parsed
    assert annotation in (None, parsed.annotation)


@pytest.mark.parametrize(
    "text",
    ["", "[", "list[", "list[]", "list[int", "list[int,int]", "int[str]", "dict[str]", "Literal",
     "Literal[]", "Literal[1.5]", "Literal['a'", "Literal['a' 'b']", "History[str]", "str int",
     "os.system", "set[int]", "str | None", "Optional[str]", "tuple[int]", "bytes", "lit\u0435ral"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_type(text)


@pytest.mark.parametrize(
    ("text", "fits", "does_not"),
    [
        ("int", [0, 1], [True, 1.0, "1", None]),
        ("float", [0.5, 1], [True, "1"]),
        ("bool", [True], [1, "true"]),
        ("list", [[], [1, "a"]], [(), {}, "a"]),
        ("list[dict[str, int]]", [[{"a": 1}], []], [[1], [{"a": "b"}]]),
        ("Literal['a', 1, True]", ["a", 1, True], [1.0, False, "b", []]),
    ],
)
def test_values_are_held_to_it(text: str, fits: list[Any], does_not: list[Any]) -> None:
    parsed = parse_type(text)
    assert [parsed.mismatch(value) for value in fits] == [None] * len(fits)
    assert all(parsed.mismatch(value) for value in does_not)
