"""Modules: DSPy's own, tools, and classes that the deployment registers."""

from collections.abc import Callable

import pytest

pytest.importorskip("dspy")

from dspool_worker import CommandError, Session
from dspool_worker._native import commit, encode
from dspool_worker.adapter import AdapterError
from dspool_worker.adapters.dspy import Dspy
from lm_server import LmServer, Request, asked_for, chat_format, contents, echo

Refusal = Callable[..., CommandError]


def agent(*steps: tuple[str, str]) -> Callable[[Request], str]:
    """A model that calls these tools, and then answers."""
    left = [*steps, ("finish", "{}")]

    def reply(request: Request) -> str:
        if "next_tool_name" not in asked_for(request):
            return echo(request)
        name, arguments = left.pop(0)
        return chat_format(
            {"next_thought": "hm", "next_tool_name": name, "next_tool_args": arguments}
        )

    return reply


def test_chain_of_thought_tells_its_reasoning(adapter: Dspy, session: Session) -> None:
    adapter.create_program(session, "p", "question -> answer", "chain_of_thought")
    outputs = adapter.execute_program(session, "p", {"question": "why"})["outputs"]
    assert outputs == {"reasoning": "reasoning to why", "answer": "answer to why"}


def test_react_uses_the_deployments_tools(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    server.reply = agent(
        ("search", '{"query": "rings", "limit": 2}'),
        ("broken", '{"query": "x"}'),
        ("strange", '{"query": "y"}'),
    )
    adapter.create_program(session, "p", "question -> answer", "react")
    outputs = adapter.execute_program(session, "p", {"question": "why"})["outputs"]
    assert outputs["answer"] == "answer to why"
    trajectory = outputs["trajectory"]
    assert trajectory["observation_0"] == "2 pages about rings"
    assert "no connection for x" in trajectory["observation_1"]
    assert trajectory["observation_2"] == "{'y'}"
    assert trajectory["tool_name_3"] == "finish"
    encode(outputs)
    assert "2 pages about rings" in contents(server.requests[1], "user")[-1]
    assert len(server.requests) == 5


def test_react_uses_only_the_tools_that_it_may(
    adapter: Dspy, session: Session, server: LmServer, refusal: Refusal
) -> None:
    adapter.create_program(session, "p", "question -> answer", "react", tools=["search"])
    adapter.execute_program(session, "p", {"question": "why"})
    system = contents(server.requests[0], "system")[0]
    assert "Looks something up" in system
    assert "broken" not in system
    error = refusal(adapter.create_program, session, "p", "q -> a", "react", tools=["serch"])
    assert error.code == "tool_not_found"
    assert "did you mean 'search'?" in str(error)
    error = refusal(adapter.create_program, session, "p", "q -> a", "predict", tools=["search"])
    assert error.code == "invalid_config"


def test_a_registered_program_is_found_anonymously(
    adapter: Dspy, anonymous: Session, server: LmServer
) -> None:
    for _ in range(2):  # nothing of the first call is left in the second
        result = adapter.execute_program(anonymous, "qa", {"question": "why"})
        assert result["outputs"]["answer"] == "answer to why"
    assert "because" in contents(server.requests[1], "user")[-1]
    assert dict(anonymous) == {}


def test_a_registered_program_is_described(adapter: Dspy, anonymous: Session) -> None:
    info = adapter.get_program_info(anonymous, "qa")
    assert (info["program_type"], info["state"]) == ("qa", None)


def test_what_a_program_learns_is_in_the_delta_of_its_session(
    adapter: Dspy, session: Session, anonymous: Session, server: LmServer
) -> None:
    adapter.execute_program(session, "learner", {"question": "first"})
    assert adapter.get_program_info(session, "learner")["demos"] == 1
    adapter.execute_program(session, "learner", {"question": "second"})
    assert "answer to first" in contents(server.requests[1], "assistant")[0]
    puts, deletes, appends = commit(session)
    assert (list(puts), deletes, appends) == (["program:learner"], [], {})
    adapter.execute_program(anonymous, "learner", {"question": "third"})
    assert contents(server.requests[2], "assistant") == []


def test_a_program_of_a_registered_type_has_its_own_name(adapter: Dspy, session: Session) -> None:
    adapter.create_program(session, "mine", program_type="learner")
    adapter.execute_program(session, "mine", {"question": "first"})
    assert adapter.get_program_info(session, "mine")["demos"] == 1
    assert adapter.get_program_info(session, "learner")["demos"] == 0


def test_inputs_must_fit_the_forward_of_a_registered_program(
    adapter: Dspy, session: Session, refusal: Refusal
) -> None:
    for inputs in ({}, {"q": 1}, {"question": "a", "self": 1}, {"question": b"x"}, "why"):
        error = refusal(adapter.execute_program, session, "qa", inputs)
        assert error.code == "invalid_inputs"


def test_a_registered_program_may_return_a_mapping_and_raise(
    adapter: Dspy, session: Session, refusal: Refusal
) -> None:
    result = adapter.execute_program(session, "odd", {"kind": "mapping"})
    assert result["outputs"] == {"a": 1}
    error = refusal(adapter.execute_program, session, "odd", {"kind": "number"})
    assert error.code == "invalid_outputs"
    with pytest.raises(KeyError, match="an error of its own"):
        adapter.execute_program(session, "odd", {"kind": "error"})


def test_a_registered_program_takes_no_signature(
    adapter: Dspy, session: Session, refusal: Refusal
) -> None:
    assert refusal(adapter.create_program, session, "p", "a -> b", "qa").code == "invalid_signature"


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"tols": {}}, "did you mean 'tools'"),
        ({"tools": ["dspy_app:search"]}, "a table of names"),
        ({"tools": {"search": 5}}, "write 'my_app:QA'"),
        ({"tools": {"search": "dspy_app"}}, "write it as package.module:name"),
        ({"tools": {"search": "dspy_app:serch"}}, "did you mean 'search'"),
        ({"tools": {"search": "no_app:search"}}, "could not be imported"),
        ({"tools": {"search": "dspy_app:QA"}}, "not a function"),
        ({"tools": {"search": "dspy_app:asynchronous"}}, "is async"),
        ({"tools": {"finish": "dspy_app:search"}}, "other than finish"),
        ({"programs": {"qa": "dspy_app:search"}}, "no class derived from dspy.Module"),
        ({"programs": {"qa": "dspy_app:NoModule"}}, "no class derived from dspy.Module"),
        ({"programs": {"qa": "dspy_app:NeedsArguments"}}, "without arguments"),
        ({"programs": {"predict": "dspy_app:QA"}}, "a program_type of DSPy's"),
        ({"history_turns": 0}, "at least 1"),
        ({"history_bytes": "many"}, "it is a number"),
    ],
)
def test_a_wrong_configuration_refuses_the_start(settings: dict[str, object], why: str) -> None:
    with pytest.raises(AdapterError, match=why):
        Dspy(settings)
