"""Rollups: the figures of requests and jobs, added up by minute, endpoint and process, and what is asked of them."""

from __future__ import annotations

import hashlib
import json
from typing import Literal, NamedTuple

import msgspec

from brakit_server.sketch import Sketch

MINUTE_MS = 60_000


class RollupKey(NamedTuple):
    """What is added up in one place."""

    kind: str
    """`request`, `job`, or `noise` for health checks and static files."""
    service: str | None
    endpoint: str
    run: str
    revision: str | None
    minute: int
    """Minutes since the epoch, of the start."""


def endpoint_id(kind: str, service: str | None, endpoint: str) -> str:
    """16 hex digits that stand for an endpoint in addresses."""
    named = json.dumps([kind, service, endpoint], ensure_ascii=False)
    return hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


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
    """Epoch milliseconds; the whole minute or step of it counts, or the whole hour where it is more than a day ago."""
    until: float
    """Epoch milliseconds; the whole minute of it counts."""
    kind: str | None = None
    service: str | None = None
    endpoint: str | None = None
    id: str | None = None
    """Of an endpoint: `endpoint_id`."""
    run: str | None = None
    revision: str | None = None
    by: tuple[Literal["endpoint", "run"], ...] = ("endpoint",)
    """By what they are told apart in the answer."""
    step: int = 0
    """Minutes: they are told apart by whole steps of time too. 0: they are not."""

    def matches(self, key: RollupKey) -> bool:
        """Whether the conditions but time hold."""
        return (
            self.kind in (None, key.kind)
            and self.service in (None, key.service)
            and self.endpoint in (None, key.endpoint)
            and (self.id is None or self.id == endpoint_id(key.kind, key.service, key.endpoint))
            and self.run in (None, key.run)
            and self.revision in (None, key.revision)
        )

    def place(self, key: RollupKey) -> RollupKey:
        """The key of the row to which it belongs."""
        kind, service, endpoint = (key.kind, key.service, key.endpoint) if "endpoint" in self.by else ("", None, "")
        run, revision = (key.run, key.revision) if "run" in self.by else ("", None)
        return RollupKey(kind, service, endpoint, run, revision, key.minute - key.minute % self.step if self.step else 0)


class Told(msgspec.Struct, kw_only=True):
    """The answer."""

    since: float
    """Epoch milliseconds: where it really begins."""
    upto: int
    """`seq` of the newest event that is among them."""
    rows: list[tuple[RollupKey, Rollup]]
    """Fields of the key by which was not asked are empty or 0."""
