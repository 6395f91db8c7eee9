"""Flask: every request, from outside of its middleware, with the rule of the URL map that it took.

`Flask.__call__` is what the server calls, around `wsgi_app`, which is where an app puts its middleware.
"""

from __future__ import annotations

import sys

from brakit import context, errors
from brakit.instrumentations import _wsgi

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
    flask = sys.modules["flask"].Flask
    # Neither has the view inside it, so that no frame of ours stands in the traceback of one.
    patch.hook(flask, "preprocess_request", "flask.app:Flask.preprocess_request", preprocess_request)
    patch.probe("flask.app:Flask.log_exception", log_exception)
    patch.replace(flask, "__call__", _wsgi.around(patch.client, flask.__call__, "flask"))


def preprocess_request(*_: Any) -> None:
    """The first thing of a request whose route is known."""
    exchange = _exchange()
    if exchange is not None:
        rule = sys.modules["flask"].request.url_rule
        exchange.route = exchange.prefix + rule.rule if rule is not None else None


def log_exception(call: Call) -> Generator[None, Any, None]:
    """An exception that no handler of the app took and that becomes a page: it does not leave the app. One that does is seen there."""
    error = call.arg("exc_info")[1]
    if error is not None:
        errors.capture(call.client, error, "flask")
    yield


def _exchange() -> Exchange | None:
    owner = context.current()
    root = owner.root if owner is not None else None
    return root.exchange if root is not None else None
