"""What a deployment of the dspy adapter has of its own."""

from typing import Any

import dspy


def look_up(question: str) -> str:
    """Looks a question up."""
    return f"nothing about {question}"


class Learner(dspy.Module):
    """Answers, and keeps each answer as a demo."""

    def __init__(self) -> None:
        super().__init__()
        self.predict = dspy.Predict("question -> answer")

    def forward(self, question: str) -> Any:
        prediction = self.predict(question=question)
        self.predict.demos.append(dspy.Example(question=question, answer=prediction.answer))
        return prediction
