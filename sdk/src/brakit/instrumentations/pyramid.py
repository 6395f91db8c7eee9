"""Pyramid: every request, from outside of its tweens, with the pattern of its route; one that is found by traversal has none.

`Router.__call__` is what the server calls. Exceptions that no exception view takes leave it.
"""

from __future__ import annotations

import sys

from brakit.instrumentations import _wsgi
from brakit.instrumentations._exchange import KEY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.instrumentations._exchange import Exchange
    from brakit.patch import Patches

SUPPORTS = ">=2.0"
FRAMEWORK = True


def instrument(patch: Patches) -> None:
    patch.when("pyramid.router", "pyramid.router:Router.__call__", replace_call, patch)
    patch.probe("pyramid.router:Router.finish_request", finish_request)


def replace_call(patch: Patches) -> None:
    router = sys.modules["pyramid.router"].Router
    patch.replace(router, "__call__", _wsgi.around(patch.client, router.__call__, "pyramid"))


def finish_request(call: Call) -> Generator[None, Any, None]:
    """The last thing of a request, before its body is sent. A subrequest has an environ of its own."""
    request = call.arg("request")
    exchange: Exchange | None = request.environ.get(KEY)
    route = request.__dict__.get("matched_route")
    if exchange is not None and route is not None:
        pattern = route.pattern
        exchange.route = exchange.prefix + (pattern if pattern.startswith("/") else "/" + pattern)
    yield
