"""What callers do wrong, as errors with stable codes."""

from dspool_worker import CommandError


def invalid_signature(why: str) -> CommandError:
    return CommandError(f"the signature cannot be used: {why}", code="invalid_signature")


def invalid_inputs(why: str) -> CommandError:
    return CommandError(f"the inputs do not fit: {why}", code="invalid_inputs")


def invalid_config(why: str) -> CommandError:
    return CommandError(f"the configuration cannot be used: {why}", code="invalid_config")


def invalid_state(why: str) -> CommandError:
    return CommandError(f"the state cannot be loaded: {why}", code="invalid_state")


def session_required(command: str) -> CommandError:
    return CommandError(
        f"a program needs a session to live in: call {command} in a session",
        code="session_required",
    )


def clip(text: object, limit: int = 64) -> str:
    """What a caller sent, short enough to be said again."""
    if isinstance(text, str):
        text = text[: limit + 1]  # before repr, which would go through all of it
    shown = repr(text if isinstance(text, (str, int, float, bool)) else type(text).__name__)
    return shown if len(shown) <= limit else f"{shown[:limit]}..."
