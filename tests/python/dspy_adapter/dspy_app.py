"""A deployment of its own: tools and programs, as a configuration names them."""

import asyncio
import contextvars
import logging
import os
import threading
from typing import Any

import dspy


def search(query: str, limit: int = 3) -> str:
    """Looks something up."""
    return f"{limit} pages about {query}"


def broken(query: str) -> str:
    """Raises whatever it is asked."""
    raise RuntimeError(f"no connection for {query}")


def strange(query: str) -> set[str]:
    """Returns what no command can."""
    return {query}


async def asynchronous(query: str) -> str:
    return query


class QA(dspy.Module):
    """Two steps, and an index that calls share."""

    def __init__(self) -> None:
        super().__init__()
        self.index = {"why": "because"}
        self.rewrite = dspy.Predict("question -> query")
        self.steps = [dspy.ChainOfThought("question, context -> answer")]
        self.last: str | None = None

    def forward(self, question: str) -> Any:
        assert self.last is None, "something of another call has stayed"
        self.last = question
        query = self.rewrite(question=question).query
        return self.steps[0](question=question, context=self.index.get(question, query))


class Learner(dspy.Module):
    """Keeps each question as a demo."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        prediction = self.predict(question=question)
        self.predict.demos.append(dspy.Example(question=question, answer=prediction.answer))
        return prediction


class Open(dspy.Module):
    """Hands on whatever it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")

    def forward(self, **kwargs: Any) -> Any:
        return self.predict(**kwargs)


class Configured(dspy.Module):
    """Takes DSPy's own names itself, to ask with them."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")

    def forward(self, question: str, config: dict[str, Any]) -> Any:
        return self.predict(question=question, config=config)


class Async(dspy.Module):
    """Asks with DSPy's asynchronous half, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        async def ask() -> Any:
            await self.predict.acall(question=question)
            return await self.predict.acall(question=question)

        return asyncio.run(ask())


class Threads(dspy.Module):
    """Asks on threads of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        questions = [dspy.Example(question=question).with_inputs("question")] * 2
        parallel = dspy.Parallel(num_threads=2, disable_progress_bar=True)
        found = parallel([(self.predict, each) for each in questions])
        return dspy.Prediction(answers=[each and each.answer for each in found])


class Crowd(dspy.Module):
    """Asks more questions than it has threads."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")

    def forward(self, question: str, count: int) -> Any:
        questions = [
            dspy.Example(question=f"{question} {n}").with_inputs("question") for n in range(count)
        ]
        parallel = dspy.Parallel(num_threads=2, disable_progress_bar=True)
        found = parallel([(self.predict, each) for each in questions])
        return dspy.Prediction(count=sum(each is not None for each in found))


class Straggler(dspy.Module):
    """Leaves a thread behind, which asks once it is `freed`, and keeps what it raises."""

    freed = threading.Event()
    thread: threading.Thread | None = None
    raised: list[BaseException]

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        Straggler.raised = []

        def ask() -> None:
            Straggler.freed.wait(60)
            try:
                self.predict(question=question)
            except BaseException as error:
                Straggler.raised.append(error)

        context = contextvars.copy_context()
        Straggler.thread = threading.Thread(target=context.run, args=(ask,), daemon=True)
        Straggler.thread.start()
        return dspy.Prediction(left="behind")


class Tracking(dspy.Module):
    """Tracks what it uses itself, too."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        with dspy.track_usage() as usage:
            self.predict(question=question)
        return dspy.Prediction(usage=str(usage.get_total_tokens()))


class Logging(dspy.Module):
    """Logs what it is asked."""

    def forward(self, question: str) -> Any:
        logging.getLogger("dspy_app").warning("asked %s", question)
        return dspy.Prediction(answer="")


class Pinned(dspy.Module):
    """Asks a model of the deployment's choice."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")
        self.predict.lm = dspy.LM(
            "openai/pinned",
            api_base=os.environ["PINNED_API_BASE"],
            api_key="none",
            cache=False,
        )

    def forward(self, question: str) -> Any:
        return self.predict(question=question)


class Odd(dspy.Module):
    """Returns what is no prediction."""

    def forward(self, kind: str) -> Any:
        if kind == "error":
            raise KeyError("an error of its own")
        return 5 if kind == "number" else {"a": 1}


class NeedsArguments(dspy.Module):
    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path


class NoModule:
    pass
