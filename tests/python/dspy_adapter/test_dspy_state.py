"""What optimisers have learned: DSPy's JSON state, loaded into a session and executed anywhere."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("dspy")

import dspy
from dspool_worker import CommandError, LanguageModel, Session
from dspool_worker.adapters.dspy import Dspy
from fake_call import FakeCall, session_of
from lm_server import LmServer, contents

Refusal = Callable[..., CommandError]


@pytest.fixture
def optimised(language_model: LanguageModel, tmp_path: Path) -> str:
    """The file of a program that BootstrapFewShot has optimised, on its own."""
    training = [
        dspy.Example(question=question, answer=f"answer to {question}").with_inputs("question")
        for question in ("one", "two", "three")
    ]
    lm = dspy.LM(
        language_model.model,
        api_base=language_model.api_base,
        api_key="sk-offline",
        cache=False,
    )
    with dspy.context(lm=lm):
        compiled = dspy.BootstrapFewShot(
            metric=lambda example, prediction, _trace=None: example.answer == prediction.answer,
            max_bootstrapped_demos=2,
            max_labeled_demos=3,
        ).compile(dspy.ChainOfThought("question -> answer"), trainset=training)
    path = tmp_path / "program.json"
    compiled.save(str(path))
    return path.read_text()


def test_an_optimised_program_executes_elsewhere_with_its_demos(
    adapter: Dspy, session: Session, server: LmServer, language_model: LanguageModel, optimised: str
) -> None:
    adapter.create_program(session, "p", "question -> answer", "chain_of_thought")
    assert adapter.load_program(session, "p", optimised)["demos"] == 3
    server.requests.clear()
    other_worker = Dspy()
    elsewhere = session_of(FakeCall(language_model), "s", dict(session))
    outputs = other_worker.execute_program(elsewhere, "p", {"question": "four"})["outputs"]
    assert outputs["answer"] == "answer to four"
    prompt = server.requests[0]
    said = "".join(contents(prompt, "user"))
    assert all(f"[[ ## question ## ]]\n{asked}" in said for asked in ("one", "two", "three"))
    assert "reasoning to one" in "".join(contents(prompt, "assistant"))
    # As DSPy itself has it say.
    with dspy.context(
        lm=dspy.LM(language_model.model, api_base=server.url, api_key="k", cache=False)
    ):
        alone = dspy.ChainOfThought("question -> answer")
        alone.load_state(json.loads(optimised))
        alone(question="four")
    assert server.requests[1]["messages"] == prompt["messages"]


def test_a_state_can_come_with_the_program(adapter: Dspy, session: Session, optimised: str) -> None:
    adapter.create_program(
        session, "p", "question -> answer", "chain_of_thought", state=json.loads(optimised)
    )
    info = adapter.get_program_info(session, "p")
    assert info["demos"] == 3
    assert adapter.list_programs(session)["programs"][0]["demos"] == 3
    alone = dspy.ChainOfThought("question -> answer")
    alone.load_state(info["state"])
    assert len(alone.predict.demos) == 3


def test_a_state_of_a_registered_program_is_the_sessions_own(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    learner = dspy.Predict("question -> answer")
    learner.demos = [dspy.Example(question="q", answer="from a file")]
    adapter.load_program(session, "learner", {"predict": learner.dump_state()})
    adapter.execute_program(session, "learner", {"question": "why"})
    assert "from a file" in contents(server.requests[0], "assistant")[0]


def test_fields_of_other_names_keep_their_demos(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    predictor = dspy.Predict("question -> answer")
    predictor.demos = [{"class": "first", "my-field": "taken"}]
    state = predictor.dump_state()
    adapter.create_program(session, "p", "class -> my-field", state=state)
    adapter.execute_program(session, "p", {"class": "second"})
    assert "[[ ## class ## ]]\nfirst" in contents(server.requests[0], "user")[0]
    assert "[[ ## my-field ## ]]\ntaken" in contents(server.requests[0], "assistant")[0]


def test_instructions_and_descriptions_are_loaded(
    adapter: Dspy, session: Session, server: LmServer
) -> None:
    state = dspy.Predict("question -> answer").dump_state()
    state["signature"]["instructions"] = "Answer like a pirate."
    state["signature"]["fields"][1]["description"] = "with an arr"
    adapter.create_program(session, "p", "question -> answer", state=state)
    adapter.execute_program(session, "p", {"question": "why"})
    system = contents(server.requests[0], "system")[0]
    assert "Answer like a pirate." in system
    assert "with an arr" in system


def broken(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    state: dict[str, Any] = copy.deepcopy(dspy.Predict("question -> answer").dump_state())
    change(state)
    return state


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: "{", "no JSON"),
        (lambda: "[" * 100_000, "no JSON"),
        (lambda: '{"demos": NaN}', "no finite number"),
        (lambda: 5, "not what DSPy saves"),
        (lambda: b"\x80\x04\x95", "not what DSPy saves"),
        (dict, "no signature with instructions"),
        (lambda: broken(lambda s: s.update(forward="x")), "nothing that DSPy saves"),
        (lambda: broken(lambda s: s.update(demos=5)), "a list"),
        (lambda: broken(lambda s: s.update(demos=[5])), "not a mapping"),
        (lambda: broken(lambda s: s.update(demos=[{}] * 300)), "at most"),
        (lambda: broken(lambda s: s.update(fields={"a": 1})), "not supported"),
        (lambda: broken(lambda s: s["signature"].update(fields=[])), "has 0 fields"),
        (lambda: broken(lambda s: s["signature"].update(instructions=5)), "instructions"),
        (lambda: broken(lambda s: s["signature"].update(fields=[5, 6])), "prefix, description"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(
    adapter: Dspy, session: Session, refusal: Refusal, make: Callable[[], Any], why: str
) -> None:
    adapter.create_program(session, "p", "question -> answer")
    before = dict(session)
    error = refusal(adapter.load_program, session, "p", make())
    assert error.code == "invalid_state"
    assert why in str(error)
    assert dict(session) == before


def test_a_state_of_another_program_is_refused(
    adapter: Dspy, session: Session, refusal: Refusal
) -> None:
    adapter.create_program(session, "p", "question -> answer", "react")
    state = dspy.ChainOfThought("question -> answer").dump_state()
    error = refusal(adapter.load_program, session, "p", state)
    assert error.code == "invalid_state"
    assert "no predictor 'predict'" in str(error)


def test_a_state_names_no_model_to_ask(adapter: Dspy, session: Session, server: LmServer) -> None:
    elsewhere = {"_dspy_lm_class": "os.system", "model": "evil/m", "api_base": "http://127.0.0.1:1"}
    state = broken(lambda s: s.update(lm=elsewhere))
    adapter.create_program(session, "p", "question -> answer", state=state)
    outputs = adapter.execute_program(session, "p", {"question": "why"})["outputs"]
    assert outputs == {"answer": "answer to why"}
    assert len(server.requests) == 1


def state_with(demos: list[dict[str, Any]]) -> dict[str, Any]:
    predictor = dspy.Predict("question -> answer")
    predictor.demos = demos
    state: dict[str, Any] = predictor.dump_state()
    return state


def test_a_state_as_a_mapping_is_bounded_as_its_text_is(
    adapter: Dspy, session: Session, refusal: Refusal
) -> None:
    state = state_with([{"question": "q", "answer": "long " * 10_000}] * 100)
    for form in (state, json.dumps(state)):
        error = refusal(adapter.create_program, session, "p", "question -> answer", state=form)
        assert error.code == "invalid_state"
        assert "more than" in str(error)


@pytest.mark.parametrize(
    ("count", "length", "kept"), [(256, 1, 256), (200, 20_900, 129)], ids=["count", "size"]
)
def test_a_program_that_learns_forgets_its_oldest_demos(
    adapter: Dspy, session: Session, count: int, length: int, kept: int
) -> None:
    demos = [{"question": f"{number}", "answer": "x" * length} for number in range(count)]
    adapter.load_program(session, "learner", {"predict": state_with(demos)})
    for question in ("one", "two" * length, "three"):
        adapter.execute_program(session, "learner", {"question": question})
    learned = session["program:learner"]["state"]["predict"]["demos"]
    assert len(learned) <= kept
    assert learned[-1]["question"] == "three"
    assert learned[0]["question"] != "0"


def test_what_could_not_be_loaded_again_is_not_kept(
    adapter: Dspy, session: Session, server: LmServer, refusal: Refusal
) -> None:
    adapter.execute_program(session, "learner", {"question": "first"})
    before = dict(session)
    server.reply = lambda _: "[[ ## answer ## ]]\n\ud83d\n\n[[ ## completed ## ]]\n"
    error = refusal(adapter.execute_program, session, "learner", {"question": "second"})
    assert error.code == "invalid_state"
    assert dict(session) == before


def test_a_state_leaves_the_deployments_model_in_place(
    session: Session, server: LmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PINNED_API_BASE", server.url)
    adapter = Dspy({"programs": {"pinned": "dspy_app:Pinned"}})
    adapter.load_program(session, "pinned", {"predict": state_with([])})
    adapter.execute_program(session, "pinned", {"question": "why"})
    assert server.requests[0]["model"] == "pinned"
