"""Adapters that cannot start."""

from __future__ import annotations

from dspool_worker import Adapter


class Refuses(Adapter):
    def __init__(self) -> None:
        raise RuntimeError("the licence file is missing")
