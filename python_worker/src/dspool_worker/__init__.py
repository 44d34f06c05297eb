"""The Python worker of dspool: write an adapter, and its methods are a pool's commands."""

from dspool_worker.adapter import Adapter, with_views
from dspool_worker.call import CancelledError
from dspool_worker.errors import CommandError
from dspool_worker.language_model import LanguageModel
from dspool_worker.session import Session

__all__ = ["Adapter", "CancelledError", "CommandError", "LanguageModel", "Session", "with_views"]
