"""Optimises a program with DSPy alone, saves it, and asks what it has saved a question.

python optimise.py API_BASE FILE QUESTION
"""

import os
import sys

import dspy

TRAINING = [
    dspy.Example(question=question, answer=answer).with_inputs("question")
    for question, answer in (
        ("What is a lock?", "What one thread holds at a time."),
        ("What is a fence?", "What orders reads and writes."),
        ("What is a queue?", "What leaves in the order in which it came."),
    )
]


def main(api_base: str, file: str, question: str) -> None:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # or DSPy fetches a price list
    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    model = dspy.LM("openai/offline", api_base=api_base, api_key="none", num_retries=0)
    with dspy.context(lm=model):
        optimised = dspy.BootstrapFewShot(
            metric=lambda _example, prediction, _trace=None: bool(prediction.answer),
            max_bootstrapped_demos=2,
            max_labeled_demos=3,
        ).compile(dspy.ChainOfThought("question -> answer"), trainset=TRAINING)
        optimised.save(file)
        again = dspy.ChainOfThought("question -> answer")
        again.load(file)
        again(question=question)


if __name__ == "__main__":
    main(*sys.argv[1:])
