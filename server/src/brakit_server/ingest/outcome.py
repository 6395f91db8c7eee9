"""What became of a payload: the good events, and what is wrong with the others."""

from __future__ import annotations

import msgspec

from brakit_server.ingest.fields import Rejected
from brakit_server.stores import Batch

MAX_NAMED = 100
"""Rejected events that the answer names one by one."""


class Rejection(msgspec.Struct):
    """One event that was refused."""

    index: int
    path: str
    reason: str


class Outcome(msgspec.Struct):
    """The good events, and what is wrong with the others (the first 100 of them by name)."""

    batch: Batch
    rejected: list[Rejection]
    rejected_count: int = 0

    def reject(self, index: int, rejected: Rejected) -> None:
        """Take down why the event at `index` cannot be stored."""
        self.rejected_count += 1
        if len(self.rejected) < MAX_NAMED:
            self.rejected.append(Rejection(index, f"$.events[{index}]{rejected.path}", rejected.reason))
