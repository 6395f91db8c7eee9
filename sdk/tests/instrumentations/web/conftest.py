"""What the tests of the web frameworks share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = dict[str, Any]


@pytest.fixture
def until(events: Callable[..., list[Json]]) -> Callable[..., list[Json]]:
    """`until(3)`: what was recorded since the last call, waited for until there are three requests in it, and no more."""

    def until(requests: int, only: str | None = None) -> list[Json]:
        found: list[Json] = []
        deadline = time.monotonic() + 10
        while True:
            found += events()
            count = sum(event["type"] == "request" for event in found)
            if count >= requests or time.monotonic() > deadline:
                time.sleep(0.01)
                found += events()
                assert sum(event["type"] == "request" for event in found) == requests, found
                return [event for event in found if only in (None, event["type"])]
            time.sleep(0.005)

    return until
