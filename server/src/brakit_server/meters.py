"""`Meters`: what the server counts of itself, for `/api/health` and `/api/prometheus`. From the event loop only."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

BUCKETS_MS = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0)
REASONS = 32
"""Of which rejections are told apart; what comes beyond is `other`."""


class Histogram:
    """Durations by size: `counts[i]` of at most `BUCKETS_MS[i]`, the last of more."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_MS) + 1)
        self.total_ms = 0.0
        self.most_ms = 0.0

    def add(self, ms: float) -> None:
        """Count one."""
        self.counts[bisect_left(BUCKETS_MS, ms)] += 1
        self.total_ms += ms
        self.most_ms = max(self.most_ms, ms)

    @property
    def count(self) -> int:
        return sum(self.counts)

    def quantile(self, q: float) -> float | None:
        """The bound below which the fraction `q` lies; None where nothing was counted."""
        wanted, seen = q * self.count, 0
        for bound, count in zip((*BUCKETS_MS, self.most_ms), self.counts, strict=True):
            seen += count
            if count and seen >= wanted:
                return min(bound, self.most_ms)
        return None


class Meters:
    """Counts since the start."""

    def __init__(self) -> None:
        self.received = 0
        """Events that were stored."""
        self.batches = 0
        self.rejected: dict[str, int] = {}
        """Events that were refused, by reason."""
        self.answers: dict[int, int] = {}
        """Answers to senders, by status."""
        self.refused: dict[int, int] = {}
        """Calls that did not get past the gate, by status."""
        self.commits = Histogram()
        self.waiting = 0
        """Batches that are being stored now."""

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Around the storing of a batch."""
        begun = time.perf_counter()
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1
            self.commits.add((time.perf_counter() - begun) * 1000)

    def stored(self, events: int, rejected: Iterable[str], rejected_count: int) -> None:
        """A batch: how many events of it were stored, why others were not (as far as each is known), and how many these are."""
        self.batches += 1
        self.received += events
        left = rejected_count
        for reason in rejected:
            name = reason if reason in self.rejected or len(self.rejected) < REASONS else "other"
            self.rejected[name] = self.rejected.get(name, 0) + 1
            left -= 1
        if left > 0:
            self.rejected["other"] = self.rejected.get("other", 0) + left

    def answered(self, status: int) -> None:
        """A sender got its answer."""
        self.answers[status] = self.answers.get(status, 0) + 1

    def turned_away(self, status: int) -> None:
        """A call was refused at the gate."""
        self.refused[status] = self.refused.get(status, 0) + 1
