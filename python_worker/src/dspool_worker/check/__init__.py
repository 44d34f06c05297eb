"""Says what is wrong with an adapter before it is deployed: `python -m dspool_worker --check`."""

from dspool_worker.check.finding import CheckReport, Finding, Usage
from dspool_worker.check.run import check_adapter, main

__all__ = ["CheckReport", "Finding", "Usage", "check_adapter", "main"]
