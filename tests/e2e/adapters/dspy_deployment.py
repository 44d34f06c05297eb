"""What a deployment of the dspy adapter has of its own."""

from typing import Any

import dspy


def look_up(question: str) -> str:
    """Looks a question up."""
    return f"nothing about {question}"


class Essay(dspy.Module):
    """Two steps, of which the second takes what the first has said."""

    def __init__(self) -> None:
        super().__init__()
        self.outline = dspy.Predict("question -> outline")
        self.write = dspy.ChainOfThought("question, outline -> answer")

    def forward(self, question: str) -> Any:
        outline = self.outline(question=question).outline
        return self.write(question=question, outline=outline)


class Learner(dspy.Module):
    """Answers, and keeps each answer as a demo."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        prediction = self.predict(question=question)
        self.predict.demos.append(dspy.Example(question=question, answer=prediction.answer))
        return prediction
