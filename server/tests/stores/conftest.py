"""Batches of made-up records."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import pytest

from brakit_server.records import Callsite, Error, Fetch, Frame, Job, Log, Query, Request, Span
from brakit_server.stores import Batch, Resource

NOW = 1_790_000_000_000.0


class Make:
    """Makes records of service `shop`; each begins a millisecond after the one before."""

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def _around(self, owner: str | None, more: dict[str, Any]) -> dict[str, Any]:
        number = next(self._count)
        return {
            "id": f"e{number}",
            "timestamp": NOW + number,
            "parent_request_id": owner,
            "service": "shop",
            "run": "run1",
            **more,
        }

    def request(self, id: str, parent: str | None = None, **more: Any) -> tuple[str, Request]:
        fields = self._around(
            parent, {"id": id, "method": "GET", "url": "/users/1?q=Ünder", "path": "/users/1", "route": "/users/{id}"}
        )
        fields |= {"status_code": 200, "duration_ms": 10.0, "headers": {}, "response_headers": {}, "request_body": None}
        fields |= {"response_body": None, "response_size": 0, "is_static": False, "is_health_check": False, **more}
        return "request", Request(started_at=fields["timestamp"], **fields)

    def query(self, owner: str | None, shape: str = "s1", **more: Any) -> tuple[str, Query]:
        fields = {"driver": "sqlalchemy", "operation": "SELECT", "normalized_op": "SELECT", "table": "users", "duration_ms": 2.0}
        fields |= {"sql": f"SELECT {shape}", "shape": f"SELECT {shape}", "shape_hash": shape, "row_count": 3, **more}
        return "db.query", Query(**self._around(owner, fields))

    def log(self, owner: str | None, message: str = "hello", **more: Any) -> tuple[str, Log]:
        return "log", Log(**self._around(owner, {"level": "info", "message": message, **more}))

    def fetch(self, owner: str | None, **more: Any) -> tuple[str, Fetch]:
        fields = {"url": "http://payments/charge", "method": "POST", "status_code": 502, "duration_ms": 30.0, **more}
        return "fetch", Fetch(**self._around(owner, fields))

    def error(self, owner: str | None, line: int = 7, **more: Any) -> tuple[str, Error]:
        frames = [
            Frame(file="lib.py", line=1, function="call", own=False),
            Frame(file="app.py", line=line, function="pay", own=True),
        ]
        return "error", Error(**self._around(owner, {"name": "ValueError", "message": "bad", "frames": frames, **more}))

    def span(self, owner: str | None, **more: Any) -> tuple[str, Span]:
        return "span", Span(**self._around(owner, {"name": "work", "duration_ms": 3.0, "span_id": "s", **more}))

    def job(self, id: str, parent: str | None = None, **more: Any) -> tuple[str, Job]:
        fields = {"id": id, "name": "shop.mail", "duration_ms": 7.0, "status": "succeeded", "source": "celery", **more}
        return "job", Job(**self._around(parent, fields))

    def site(self, line: int) -> Callsite:
        return Callsite(file="app.py", line=line, function="view")


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def batch() -> Callable[..., Batch]:
    """A batch of entries, received at the time of `make`'s records."""

    def of(*entries: Any, batch_id: str | None = None, received_at: float = NOW + 1000, **resource: Any) -> Batch:
        sender = Resource(**{"run": "run1", "service": "shop", **resource})
        return Batch(batch_id=batch_id, resource=sender, entries=list(entries), dropped={}, received_at=received_at)

    return of


@pytest.fixture
def hex_id() -> Callable[[], str]:
    return lambda: os.urandom(16).hex()
