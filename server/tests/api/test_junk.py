"""No question makes the server fail, whatever stands in it."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from starlette.routing import Route

from brakit_server import api

PATHS = [route.path for route in api.routes() if isinstance(route, Route) and "GET" in (route.methods or ())]
NAMES = [
    "requestId",
    "requestIds",
    "service",
    "method",
    "status",
    "search",
    "filter",
    "text",
    "kind",
    "level",
    "endpoint",
    "shapeHash",
    "state",
    "category",
]
NUMBERS = ["at", "since", "before", "limit", "offset", "minutes", "challenge", "lastEventId"]
JUNK = [
    "%00",
    "%ff%fe",
    "%ED%A0%BD",
    "%27%20OR%201=1--",
    "%25%5F!%5C",
    "9" * 400,
    "-1",
    "1e400",
    "NaN",
    "%D9%A1",
    "[]",
    "a" * 5_000,
    "%0d%0aX:1",
]


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/events"])
def test_junk_in_every_parameter(seen: Any, path: str) -> None:
    for junk in JUNK:
        query = "&".join(f"{name}={junk}" for name in (NAMES if len(junk) < 1_000 else NAMES[:6]))
        status, headers, _ = seen.call("GET", f"/__brakit/api{path.replace('{id}', junk)}?{query}")
        assert status < 500, (path, junk)
        assert "x" not in headers
    for name, junk in itertools.product(NUMBERS, JUNK):
        assert seen.call("GET", f"/__brakit/api{path.replace('{id}', 'r1')}?{name}={junk}")[0] < 500, (name, junk)
