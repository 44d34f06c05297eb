"""Names that are none of Python's: mapped for DSPy, and shown as their callers wrote them."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("dspy")

from dspool_worker import CommandError, Session
from dspool_worker.adapters.dspy import Dspy
from dspool_worker.adapters.dspy.names import fault_of, safe_names
from lm_server import LmServer, Request, contents

Refusal = Callable[..., CommandError]
NAMES = ["class", "my-field", "2nd", "größe", "schema", "lm", "_x", "model_dump", "self", "a b"]


TAKEN = [
    "args", "completions", "config", "demos", "history", "inputs", "instance", "items", "keys",
    "kwargs", "lm", "max_iters", "messages", "module", "new_signature", "outputs", "prediction",
    "prompt", "self", "signature", "store", "tools", "trace",
]  # fmt: skip


def test_names_are_safe_different_and_stay_where_they_can() -> None:
    safe = safe_names([*NAMES, "question", "field_1"])
    assert safe["question"] == "question"
    assert len(set(safe.values())) == len(safe)
    assert all(internal.isidentifier() for internal in safe.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_the_callers_in_prompts_and_answers(
    adapter: Dspy, anonymous: Session, server: LmServer, name: str
) -> None:
    outputs = adapter.predict(anonymous, **{name: "why"})
    assert outputs == {"answer": "answer to why"}
    signature = {"inputs": [{"name": "q"}], "outputs": [{"name": name}, {"name": "last"}]}
    outputs = adapter.predict(anonymous, signature, q="why")
    assert outputs == {name: f"{name} to why", "last": "last to why"}
    asked, answered = server.requests
    assert f"[[ ## {name} ## ]]\nwhy" in contents(asked, "user")[-1]
    assert f"`{name}`" in contents(answered, "system")[0]
    for request in (asked, answered):
        assert "field_" not in str(request["messages"])


def test_a_conversation_keeps_them(adapter: Dspy, session: Session, server: LmServer) -> None:
    for text in ("first", "second"):
        adapter.predict(session, "class -> my-field", **{"class": text})
    assert "[[ ## class ## ]]\nfirst" in contents(server.requests[1], "user")[0]
    assert "[[ ## my-field ## ]]\nmy-field to first" in contents(server.requests[1], "assistant")[0]
    assert "field_" not in str(server.requests[1]["messages"])


@pytest.mark.parametrize("program_type", ["chain_of_thought", "react"])
def test_programs_keep_them(
    adapter: Dspy, session: Session, server: LmServer, program_type: str
) -> None:
    adapter.create_program(session, "p", "class, 2nd: int -> my-field", program_type)
    outputs = adapter.execute_program(session, "p", {"class": "c", "2nd": 2})["outputs"]
    assert outputs["my-field"] == "my-field to c"
    assert "field_" not in str([request["messages"] for request in server.requests])


def test_an_answer_as_json_has_them_too(
    adapter: Dspy, anonymous: Session, server: LmServer
) -> None:
    def reply(request: Request) -> str:
        as_json = "JSON object" in contents(request, "user")[-1]
        return '{"my-field": "yes"}' if as_json else "I shall not"

    server.reply = reply
    assert adapter.predict(anonymous, "class -> my-field", **{"class": "c"}) == {"my-field": "yes"}
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "name", ["", " a", "a\n", "a]]", "completed", "x" * 65, "a`b", "<<a>>", "\ud800", 5, None]
)
def test_some_names_are_refused(
    adapter: Dspy, anonymous: Session, refusal: Refusal, name: Any
) -> None:
    assert fault_of(name) is not None
    signature = {"inputs": [{"name": name}], "outputs": [{"name": "a"}]}
    assert refusal(adapter.predict, anonymous, signature, q=1).code == "invalid_signature"


@pytest.mark.parametrize("program_type", ["predict", "chain_of_thought", "react"])
@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_dspy_uses_itself_is_a_name(
    adapter: Dspy, session: Session, server: LmServer, name: str, program_type: str
) -> None:
    config = {"max_iters": 1} if program_type == "react" else None
    adapter.create_program(session, "p", f"{name} -> answer", program_type, config)
    outputs = adapter.execute_program(session, "p", {name: "why"})["outputs"]
    assert outputs["answer"] == "answer to why"
    assert f"[[ ## {name} ## ]]\nwhy" in contents(server.requests[-1], "user")[-1]
    adapter.create_program(session, "p", f"q -> {name}", program_type, config)
    outputs = adapter.execute_program(session, "p", {"q": "why"})["outputs"]
    assert outputs[name] == f"{name} to why"
    assert "field_" not in str([request["messages"] for request in server.requests])
