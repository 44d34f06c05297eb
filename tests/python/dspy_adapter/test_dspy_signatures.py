"""Signatures as callers write them."""

from typing import Any

import pytest

pytest.importorskip("dspy")

from dspool_worker import CommandError
from dspool_worker.adapters.dspy.field_types import parse_type
from dspool_worker.adapters.dspy.signatures import Field, check_inputs, of_inputs, parse


def test_reads_text() -> None:
    signature = parse("question, context: list[str] ->answer: string, score :float")
    assert signature.inputs == (Field("question"), Field("context", parse_type("list[str]")))
    assert signature.outputs == (Field("answer"), Field("score", parse_type("float")))


def test_reads_a_type_with_a_comma() -> None:
    signature = parse("a: dict[str, int], b -> c: Literal['x, y -> z', \"]\"]")
    assert signature.inputs == (Field("a", parse_type("dict[str, int]")), Field("b"))
    assert signature.outputs[0].type.choices == ("x, y -> z", "]")


def test_reads_a_mapping() -> None:
    signature = parse(
        {
            "name": "QuestionAnswer",
            "description": "Answer briefly.",
            "inputs": [{"name": "question", "type": "string", "description": "what to answer"}],
            "outputs": [{"name": "answer"}],
        }
    )
    assert signature.name == "QuestionAnswer"
    assert signature.description == "Answer briefly."
    assert signature.inputs == (Field("question", parse_type("string"), "what to answer"),)


def test_its_record_reads_as_itself() -> None:
    signature = parse("a: int, b: list[dict[str, Literal['x', 2, True]]], h: History -> c: dict")
    assert parse(signature.record()) == signature


def test_a_question_without_a_signature_has_one_answer() -> None:
    signature = of_inputs({"text": "t", "k": 3, "x": 1.5, "ok": True, "l": [], "m": {}})
    assert [str(field.type) for field in signature.inputs] == [
        "str",
        "int",
        "float",
        "bool",
        "list",
        "dict",
    ]
    assert signature.outputs == (Field("answer"),)


@pytest.mark.parametrize(
    ("signature", "why"),
    [
        ("question", "is not of the form"),
        ("a -> b -> c", "is not of the form"),
        ("-> answer", "at least one input and one output"),
        ("question ->", "at least one input and one output"),
        ("a, a -> b", "a stands there twice"),
        ("a -> a", "a stands there twice"),
        ("two words -> b", "'two words' is not of the form"),
        ("a: os.system -> b", "there is no type 'os.system'"),
        ("a: __import__('os') -> b", "is no type"),
        ("a: list[Any] -> b", "there is no type 'Any'"),
        ("a: list[str -> b", "is not of the form"),
        ("a: str] -> b", "stands behind the type"),
        ("a: -> b", "is not of the form"),
        ("a` -> b", "cannot name a field"),
        (5, "it is of type int"),
        ({"inputs": [], "outputs": []}, "at least one input"),
        ({"inputs": "a", "outputs": []}, "inputs is not a list"),
        ({"inputs": [{"type": "str"}], "outputs": []}, "is not of the form"),
        ({"inputs": [{"name": "a", "kind": "str"}], "outputs": []}, "has 'kind'"),
        ({"inputs": [{"name": 5}], "outputs": []}, "5 cannot name a field"),
        ({"input": [], "outputs": []}, "it has 'input'"),
    ],
)
def test_says_what_is_wrong(signature: Any, why: str) -> None:
    with pytest.raises(CommandError) as error:
        parse(signature)
    assert why in str(error.value)
    assert error.value.code == "invalid_signature"


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"answer": "42"}, "answer is what the output is called"),
        ({"question": "why", "context": None}, "context is null: leave it out"),
    ],
)
def test_says_which_inputs_cannot_be_asked(inputs: dict[str, Any], why: str) -> None:
    with pytest.raises(CommandError) as error:
        of_inputs(inputs)
    assert why in str(error.value)
    assert error.value.code == "invalid_inputs"


def test_a_question_of_bytes_is_refused() -> None:
    with pytest.raises(CommandError, match="image has bytes"):
        of_inputs({"image": b"raw"})


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"n": 1}, "text is missing"),
        ({"n": 1, "text": "t", "extra": 1}, "not in the signature: 'extra'"),
        ({"n": "1", "text": "t"}, "n is of type str, not int"),
        ({"n": True, "text": "t"}, "n is of type bool, not int"),
        ({"n": 1, "text": None}, "text is null, not str"),
    ],
)
def test_says_which_inputs_do_not_fit(inputs: dict[str, Any], why: str) -> None:
    with pytest.raises(CommandError) as error:
        check_inputs(parse("n: int, text -> answer"), inputs)
    assert why in str(error.value)
    assert error.value.code == "invalid_inputs"


def test_an_int_is_a_float() -> None:
    check_inputs(parse("x: float, l: list[int] -> y"), {"x": 1, "l": [1]})
