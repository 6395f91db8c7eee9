"""Records of a shop under load, as a store takes them: no two requests alike, some of them slow, few of them failing."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from typing import Any

from brakit_server.records import Callsite, Entry, Error, Fetch, Frame, Log, Query, Request
from brakit_server.stores import Batch, Resource

BATCH = 20
"""Events of a batch: a request with what belongs to it."""

ENDPOINTS = 60
SHAPES = 150
SERVICES = ("shop", "payments", "mail")
TABLES = ("item", "customer", "cart", "orders", "stock", "price", "review", "session")
HEADERS = {
    "host": "shop.test",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64)",
    "accept": "application/json",
    "accept-encoding": "gzip",
}


class Shop:
    """Makes batches; the same `seed` makes the same ones but for ids and times."""

    def __init__(self, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self.requests: list[str] = []
        """Ids of some of the requests."""
        self._shapes = [self._statement(number) for number in range(SHAPES)]

    def _statement(self, number: int) -> str:
        table = TABLES[number % len(TABLES)]
        columns = ", ".join(f"{table}.column_{number}_{place}" for place in range(4 + number % 5))
        return f"SELECT {columns} FROM {table} WHERE {table}.id = ? AND {table}.state IN (…) ORDER BY {table}.created LIMIT ?"

    def batches(self, events: int) -> Iterator[Batch]:
        """As many as have at least `events` events together."""
        for number in range(-(-events // BATCH)):
            yield self.batch(number)

    def batch(self, number: int) -> Batch:
        """A request with 12 queries, 4 logs and 3 calls or errors."""
        chance = self._chance
        now = time.time() * 1000
        service = SERVICES[int(chance.random() ** 2 * len(SERVICES))]
        owner = os.urandom(16).hex()
        if number % 997 == 0:
            self.requests.append(owner)
        around: dict[str, Any] = {"parent_request_id": owner, "service": service, "run": f"box:{service}:1", "trace_id": owner}
        endpoint = int(chance.random() ** 2 * ENDPOINTS)
        entries: list[tuple[str, Entry]] = [
            ("db.query", self._query(endpoint + place % 4, now + place, around)) for place in range(12)
        ]
        entries += [("log", self._log(number, now + place, around)) for place in range(4)]
        failed = chance.random() < 0.01
        if failed:
            entries.append(("error", self._error(endpoint, now, around)))
        entries += [("fetch", self._fetch(number, now + place, around)) for place in range(3 - failed)]
        entries.append(("request", self._request(owner, endpoint, number, now, failed, around)))
        resource = Resource(run=f"box:{service}:1", service=service, host="box", pid=1)
        return Batch(batch_id=os.urandom(8).hex(), resource=resource, entries=entries, dropped={}, received_at=now)

    def _query(self, shape: int, at: float, around: dict[str, Any]) -> Query:
        shape %= SHAPES
        text = self._shapes[shape]
        table = TABLES[shape % len(TABLES)]
        return Query(
            id=os.urandom(16).hex(), timestamp=at, **around, driver="sqlalchemy", source="sqlalchemy", operation="SELECT",
            normalized_op="SELECT", table=table, duration_ms=self._chance.lognormvariate(0.5, 1), row_count=self._chance.randrange(50),
            sql=text, shape=text, shape_hash=f"{shape:016x}", params_hash=os.urandom(8).hex(), system="postgresql",
            call_site=Callsite(file=f"shop/{table}.py", line=40 + shape, function="load"),
        )  # fmt: skip

    def _log(self, number: int, at: float, around: dict[str, Any]) -> Log:
        customer = self._chance.randrange(100_000)
        return Log(
            id=os.urandom(16).hex(), timestamp=at, **around, level="warn" if customer % 50 == 0 else "info", logger="shop.cart",
            message=f"cart {number} of customer {customer} recalculated",
        )  # fmt: skip

    def _fetch(self, number: int, at: float, around: dict[str, Any]) -> Fetch:
        return Fetch(
            id=os.urandom(16).hex(), timestamp=at, **around, url=f"http://stock.test/items/{number % 5000}/availability", method="GET",
            status_code=200, duration_ms=self._chance.lognormvariate(2, 1), source="httpx",
        )  # fmt: skip

    def _error(self, endpoint: int, at: float, around: dict[str, Any]) -> Error:
        frames = [
            Frame(file="lib/call.py", line=3, function="call", own=False),
            Frame(file="shop/views.py", line=endpoint, function="show", own=True),
        ]
        message = f"item {self._chance.randrange(10_000)} is out of stock"
        return Error(id=os.urandom(16).hex(), timestamp=at, **around, name="OutOfStock", message=message, frames=frames)

    def _request(self, owner: str, endpoint: int, number: int, at: float, failed: bool, around: dict[str, Any]) -> Request:
        path = f"/shelf{endpoint}/items/{number % 20_000}"
        return Request(
            id=owner, timestamp=at, started_at=at, **{**around, "parent_request_id": None},
            method="POST" if endpoint % 5 == 0 else "GET", url=f"{path}?page={number % 7}", path=path,
            route=f"/shelf{endpoint}/items/{{id}}", status_code=500 if failed else 404 if number % 40 == 0 else 200,
            duration_ms=self._chance.lognormvariate(3, 1), headers=HEADERS, response_headers={"content-type": "application/json"},
            request_body=None, response_body=None, response_size=self._chance.randrange(5_000), is_static=False, is_health_check=False,
        )  # fmt: skip
