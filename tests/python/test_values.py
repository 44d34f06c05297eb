"""What can cross between Python and the engine, and what is told about the rest."""

import dataclasses
import datetime
import decimal
import enum
import math
import random
import types
import uuid
from pathlib import Path
from typing import Any

import pytest
from dspool_worker._native import EncodeError, decode, encode

MAX_DEPTH = 64


def nested(depth: int, leaf: Any) -> Any:
    value = leaf
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        False,
        0,
        -1,
        127,
        128,
        -(2**63),
        2**63 - 1,
        0.1,
        1.5,
        -0.0,
        math.inf,
        5e-324,
        "",
        "zwölf 💡",
        "with a NUL \0 inside",
        b"",
        b"\0\xff",
        [],
        {},
        [1, "two", None, [2.5, []]],
        {"a": {"b": [1, {"c": b"x"}]}, "": 1, "ü": 2},
        [True, 1, 1.0],
        "x" * 100_000,
        [{"key": i, "name": "x"} for i in range(300)],
        nested(MAX_DEPTH, 1),
        nested(MAX_DEPTH, "text"),
        nested(MAX_DEPTH, b"raw"),
    ],
)
def test_comes_back_equal_and_of_the_same_type(value: Any) -> None:
    back = decode(encode(value))
    assert back == value
    assert repr(back) == repr(value) or isinstance(value, dict)


def test_nan_comes_back() -> None:
    assert math.isnan(decode(encode(math.nan)))


def test_tuples_come_back_as_lists() -> None:
    assert decode(encode((1, (2,)))) == [1, [2]]


def test_dicts_come_back_sorted_by_key() -> None:
    assert list(decode(encode({"b": 1, "a": 2, "c": 3}))) == ["a", "b", "c"]


def test_subclasses_travel_as_what_they_derive_from() -> None:
    class Level(int):
        pass

    class Name(str):
        pass

    back = decode(encode({Name("key"): [Level(3), Name("x")]}))
    assert back == {"key": [3, "x"]}
    assert type(back["key"][0]) is int


def random_value(rng: random.Random, depth: int = 0) -> Any:
    scalars = [
        None,
        rng.random() < 0.5,
        rng.randint(-(2 ** rng.randint(0, 63)), 2 ** rng.randint(0, 63) - 1),
        rng.uniform(-1e9, 1e9),
        "".join(chr(rng.choice([65, 0xE4, 0x4E2D, 0x1F4A1])) for _ in range(rng.randint(0, 300))),
        rng.randbytes(rng.randint(0, 300)),
    ]
    if depth == 5 or rng.random() < 0.4:
        return rng.choice(scalars)
    items = [random_value(rng, depth + 1) for _ in range(rng.randint(0, 5))]
    if rng.random() < 0.5:
        return items
    return {f"key{rng.randint(0, 99)}": item for item in items}


def test_random_values_come_back_and_encode_the_same_again() -> None:
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)  # noqa: S311
    for _ in range(500):
        value = random_value(rng)
        encoded = encode(value)
        assert decode(encoded) == value, seed
        assert encode(decode(encoded)) == encoded, seed


def test_alike_dicts_share_their_keys() -> None:
    assert encode([{"a_rather_long_key": 1}] * 100).count(b"a_rather_long_key") == 1


class Model:
    pass


class Twin(str):
    """Equal to nothing, so that a dict holds it twice."""

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({1}, "value is a set"),
        ({"answers": [0, 1, 2, {"model": {1}}]}, "value.answers[3].model is a set"),
        ({"a key": [{"a.b": Model()}]}, 'value["a key"][0]["a.b"] is a Model'),
        ([object()], "value[0] is an object"),
        (2**63, "value is an int beyond 64 bits"),
        ({"n": -(2**63) - 1}, "value.n is an int beyond 64 bits"),
        ({1: 2}, "value has a key that is an int"),
        ({"a": {None: 2}}, "value.a has a key that is a NoneType"),
        ({"a\0b": 1}, "value has a key with a NUL character"),
        ({"\ud800": 1}, "value has a key with a lone surrogate"),
        (["\udfff"], "value[0] has a lone surrogate"),
        ({Twin("a"): 1, Twin("a"): 2}, "value has a key twice"),
        (nested(MAX_DEPTH + 1, 1), "nests deeper than 64"),
        ({"d": nested(MAX_DEPTH, {})}, "nests deeper than 64"),
    ],
)
def test_what_cannot_be_sent_is_named_with_the_way_to_it(value: Any, told: str) -> None:
    with pytest.raises(TypeError) as error:
        encode(value)
    assert told in str(error.value)
    assert str(error.value).startswith("value")


def test_a_value_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(TypeError, match="nests deeper than 64"):
        encode(value)


def test_a_long_way_is_told_in_short() -> None:
    with pytest.raises(TypeError) as error:
        encode({"k" * 100_000: {1}})
    assert len(str(error.value)) < 500


def test_an_encoder_is_usable_after_an_error() -> None:
    for _ in range(3):
        with pytest.raises(TypeError):
            encode({"a": [{"b": {1}}]})
    assert decode(encode({"a": 1})) == {"a": 1}


@pytest.mark.parametrize("encoded", [b"", b"\0", b"\0\0"])
def test_what_is_no_value_is_refused(encoded: bytes) -> None:
    with pytest.raises(ValueError, match="FlexBuffer"):
        decode(encoded)


def class_of(module: str, name: str, *bases: type) -> type:
    return type(name, bases, {"__module__": module})


@dataclasses.dataclass
class Point:
    x: int


class Level(enum.Enum):
    HIGH = 1


TORCH_MODULE = class_of("torch.nn.modules.module", "Module")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (class_of("my_app", "Net", TORCH_MODULE)(), "is a PyTorch module (my_app.Net): keep it in"),
        (class_of("torch", "Tensor")(), "is a PyTorch tensor (torch.Tensor): use value.tolist()"),
        (
            class_of("numpy", "ndarray")(),
            "is a NumPy array (numpy.ndarray): use value.tolist()",
        ),
        (
            class_of("numpy", "int64", class_of("numpy", "generic"))(),
            "NumPy scalar (numpy.int64)",
        ),
        (class_of("pandas.core.frame", "DataFrame")(), 'use value.to_dict("records")'),
        (
            class_of("my_app", "Item", class_of("pydantic.main", "BaseModel"))(),
            'is a pydantic model (my_app.Item): use value.model_dump(mode="json")',
        ),
        (
            class_of("dspy", "Prediction", class_of("dspy.primitives.example", "Example"))(),
            "is a DSPy prediction or example (dspy.Prediction): use value.toDict()",
        ),
        (class_of("my_app", "QA", class_of("dspy.primitives.module", "Module"))(), "dump_state()"),
        (Point(1), "is a Point (test_values.Point): use dataclasses.asdict(value)"),
        (Level.HIGH, "is a Level (test_values.Level): use value.value"),
        (datetime.datetime(2024, 1, 1), "is a datetime (datetime.datetime): use value.isoformat()"),
        (datetime.timedelta(1), "use value.total_seconds()"),
        (decimal.Decimal(1), "is a Decimal (decimal.Decimal): use str(value), which is exact"),
        (uuid.UUID(int=1), "use str(value)"),
        (Path("x"), "use str(value)"),
        ({1}, "is a set: use sorted(value) or list(value)"),
        ((x for x in ()), "is a generator: use list(value), or send its items by session.emit"),
        (range(3), "is a range: use list(value)"),
        ({}.keys(), "is a dict_keys: use sorted(value) or list(value)"),
        (types.MappingProxyType({}), "use dict(value)"),
        (1j, "use [value.real, value.imag]"),
        (ValueError("no"), "is a ValueError: raise it, or use str(value)"),
        (int, "is a type: use its name"),
        (len, "use what it returns"),
        (
            object(),
            "is an object: use only None, bool, int, float, str, bytes, list, tuple",
        ),
    ],
)
def test_what_is_no_value_is_told_with_what_to_use(value: Any, told: str) -> None:
    with pytest.raises(EncodeError) as error:
        encode({"answers": [value]}, "result")
    assert str(error.value).startswith("result.answers[0] is a")
    assert told in str(error.value)
