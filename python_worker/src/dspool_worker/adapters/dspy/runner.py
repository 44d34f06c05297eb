"""Runs modules of DSPy for a call: each in a context of its own, with its language model."""

from collections.abc import Collection, Mapping
from typing import Any

import dspy

from dspool_worker import CommandError, LanguageModel, Session
from dspool_worker.adapters.dspy.language_models import NoLM, live_lm
from dspool_worker.adapters.dspy.model_errors import typed_error
from dspool_worker.adapters.dspy.prompts import ChatAdapter
from dspool_worker.adapters.dspy.running import Running
from dspool_worker.adapters.dspy.statistics import Statistics
from dspool_worker.adapters.dspy.streaming import run_streaming
from dspool_worker.adapters.dspy.usage import Usage
from dspool_worker.command_log import logging_for

_PROMPTS = ChatAdapter()


def run_module(
    module: Any,
    inputs: Mapping[str, Any],
    session: Session,
    language_model: LanguageModel | None,
    statistics: Statistics,
    streamed: Collection[str] | None,
) -> Any:
    """What the module returns. Errors of the language model are typed; others pass as they are.

    `streamed` are the fields whose text a listening caller gets as it comes; None: all.
    """
    running = Running(session)
    usage = Usage()

    def run() -> Any:
        running.stream_here()
        with logging_for(session):  # where it streams, this is another thread than the command's
            return module(**inputs)

    try:
        with dspy.context(
            lm=NoLM() if language_model is None else live_lm(language_model),
            adapter=_PROMPTS,
            disable_history=True,
            trace=None,
            usage_tracker=usage,
            track_usage=True,  # so that what LiteLLM streams is counted, not guessed
            warn_on_type_mismatch=False,  # inputs are checked before, and belong in no log
            **running.settings(),
        ):
            if session.streams:
                return run_streaming(run, session.emit, streamed, running)
            return run()
    except CommandError:
        raise
    except Exception as error:
        model = "the language model" if language_model is None else language_model.model
        provider = None if language_model is None else language_model.provider
        typed = typed_error(error, model, provider)
        if typed is None:
            raise
        raise typed from error
    finally:
        input_tokens, output_tokens = usage.end()
        if input_tokens or output_tokens:
            statistics.add_tokens(input_tokens, output_tokens)
            session.add_usage(input_tokens=input_tokens, output_tokens=output_tokens)
