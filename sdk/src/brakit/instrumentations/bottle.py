"""Bottle: every request, from outside of what is put around it with `Bottle.__call__`, with the rule of its route.

An exception that no plugin of the app takes becomes a page, or leaves the app where `catchall` is off: both are seen.
"""

from __future__ import annotations

import sys

from brakit import errors
from brakit.instrumentations import _wsgi

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.instrumentations._exchange import Exchange
    from brakit.patch import Patches

SUPPORTS = ">=0.12.19"
FRAMEWORK = True


def instrument(patch: Patches) -> None:
    bottle = sys.modules["bottle"].Bottle
    patch.probe("bottle:HTTPError.__init__", http_error)
    patch.replace(bottle, "__call__", _wsgi.around(patch.client, bottle.__call__, "bottle", known))


def known(exchange: Exchange, _app: Any, environ: _wsgi.Environ) -> None:
    # Where one Bottle is mounted in another: the route that led here.
    outer = environ.get("bottle.route")
    exchange.source = environ
    exchange.find_route = lambda environ: template(exchange.prefix, environ, outer)


def template(prefix: str, environ: _wsgi.Environ, outer: Any) -> str | None:
    route = environ.get("bottle.route")
    return prefix + route.rule if route is not None and route is not outer else None


def http_error(call: Call) -> Generator[None, Any, None]:
    """Bottle makes one with an exception and a traceback of what nobody has handled."""
    error = call.arg("exception")
    if isinstance(error, Exception) and call.arg("traceback") is not None:
        errors.capture(call.client, error, "bottle")
    yield
