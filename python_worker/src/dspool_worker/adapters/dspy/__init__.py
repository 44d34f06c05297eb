"""Real DSPy behind a pool: the adapter `dspool_worker.adapters.dspy:Dspy`."""

import os

# Before DSPy is imported: LiteLLM, which it may load, must not fetch its price list.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

from dspool_worker.adapters.dspy.adapter import Dspy

__all__ = ["Dspy"]
