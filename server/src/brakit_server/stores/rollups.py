"""Rollups: the figures of requests and jobs, added up by minute, endpoint and process, and what is asked of them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from brakit_server.sketch import Sketch

MINUTE_MS = 60_000


class RollupKey(NamedTuple):
    """What is added up in one place."""

    kind: str
    """`request` or `job`."""
    service: str | None
    endpoint: str
    run: str
    revision: str | None
    minute: int
    """Minutes since the epoch, of the start."""


class Rollup(msgspec.Struct):
    """Figures that can be added: those of two stretches of time together are their sum. Times in milliseconds."""

    count: int = 0
    errors: int = 0
    """Answers of 500 and above; jobs that did not succeed."""
    refused: int = 0
    """Answers from 400 to 499."""
    queries: int = 0
    query_ms: float = 0.0
    """In which at least one query was in flight."""
    fetches: int = 0
    fetch_ms: float = 0.0
    app_ms: float = 0.0
    """Neither in the database nor waiting for another service."""
    size_bytes: int = 0
    """Of responses."""
    durations: Sketch = msgspec.field(default_factory=Sketch)
    """Of all but streams, which are open on purpose."""

    def add(self, other: Rollup) -> None:
        """Add all of `other`."""
        self.count += other.count
        self.errors += other.errors
        self.refused += other.refused
        self.queries += other.queries
        self.query_ms += other.query_ms
        self.fetches += other.fetches
        self.fetch_ms += other.fetch_ms
        self.app_ms += other.app_ms
        self.size_bytes += other.size_bytes
        self.durations.merge(other.durations)


class Asked(msgspec.Struct, kw_only=True, frozen=True):
    """Which rollups, and by what they are added up. Every condition that is set must hold."""

    since: float
    """Epoch milliseconds; the whole minute of it counts, or the whole hour where it is more than a day ago."""
    until: float
    """Epoch milliseconds; the whole minute of it counts."""
    kind: str | None = None
    service: str | None = None
    endpoint: str | None = None
    id: str | None = None
    """Of an endpoint: `endpoint_id`."""
    run: str | None = None
    revision: str | None = None
    by: tuple[Literal["endpoint", "run", "minute", "hour"], ...] = ("endpoint",)
    """By what they are told apart in the answer."""


class Told(msgspec.Struct, kw_only=True):
    """The answer."""

    since: float
    """Epoch milliseconds: where it really begins."""
    upto: int
    """`seq` of the newest event that is among them."""
    rows: list[tuple[RollupKey, Rollup]]
    """Fields of the key by which was not asked are empty or 0."""
