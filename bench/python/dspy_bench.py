"""What does a `predict` cost in our code, over DSPy with the same model in the same process?

The model answers at once, from memory: what is left is DSPy's own work, and ours. Ours is all that
a worker does from the encoded arguments to the encoded result; what the engine and the rings add
is `BM_Engine_RoundTrip`.

`Overhead` is over DSPy as anybody uses it, which for each request chooses an engine and estimates
what it costs. The adapter does neither, so `SameEngine` is over DSPy with the adapter's engine: how
much is ours, wherever it was saved.
"""

import functools
import os
import time
from collections.abc import Iterator
from typing import Any

from dspool_worker import LanguageModel, Session
from dspool_worker._native import encode, run
from dspool_worker.adapter import load_adapter
from dspool_worker.host import AdapterHost
from dspool_worker.testing.call import TrialCall

from .comparison import Comparison, compare

NAMES = ("BM_Dspy_Predict_Overhead", "BM_Dspy_Predict_SameEngine")
_CALLS = 20
_ANSWER = "[[ ## answer ## ]]\nIn shared memory.\n\n[[ ## completed ## ]]"
_QUESTION = "Where does the state of a session live?"
_MODEL = LanguageModel(1, "openai/gpt-4o-mini", "http://127.0.0.1:9/v1")
_TIMEOUT_NS = 30_000_000_000
_BUDGET = 1.02


def comparisons() -> Iterator[Comparison]:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it may fetch nothing
    host = AdapterHost(load_adapter("dspool_worker.adapters.dspy:Dspy"))
    import dspy
    from dspool_worker.adapters.dspy.language_models import live_lm
    from dspy.clients.engines.lm15_engine import LM15Engine
    from dspy.lm15 import Message, Response, TextPart, Usage

    def answer(_engine: LM15Engine, _request: object) -> Response:
        return Response(
            id=None,
            model="offline",
            message=Message.assistant([TextPart(_ANSWER)]),
            finish_reason="stop",
            usage=Usage(input_tokens=100, output_tokens=10, total_tokens=110),
        )

    # Below all that DSPy itself does for a call.
    LM15Engine.complete = answer
    host.set_language_model(
        _MODEL.version, _MODEL.model, _MODEL.api_base, _MODEL.api_key, _MODEL.temperature
    )
    alone = dspy.LM(
        _MODEL.model, api_base=_MODEL.api_base, api_key="none", cache=False, num_retries=0
    )
    engine = live_lm(_MODEL).engine
    handed_over = dspy.LM(_MODEL.model, cache=False, num_retries=0, engine=engine)
    module = dspy.Predict("question -> answer")

    def bare_with(lm: dspy.LM) -> Any:
        with dspy.context(lm=lm, disable_history=True, trace=None):
            return dict(module(question=_QUESTION).items())

    args = encode({"question": _QUESTION})
    predict = host.commands["predict"]

    def ours() -> bytes:
        # With a deadline, as every call to a pool has one.
        deadline_ns = time.monotonic_ns() + _TIMEOUT_NS
        session = Session()
        session.call = TrialCall(1, _MODEL, None, deadline_ns)
        return run(predict, session, args, deadline_ns)

    for name, lm, against, budget in (
        (NAMES[0], alone, "DSPy", _BUDGET),
        (NAMES[1], handed_over, "DSPy with the same engine", None),
    ):
        bare = functools.partial(bare_with, lm)
        if ours() != encode(bare()):
            raise RuntimeError("DSPy answers otherwise than through its adapter")
        yield compare(name, ours, bare, against=against, calls=_CALLS, at_most=budget)
