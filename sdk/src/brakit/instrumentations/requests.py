"""requests: outgoing HTTP calls, through Session.send; redirects, retries and the body of an answer that is not streamed lie inside.

Our ids are added where the request goes over the wire (`http.py`): the app's headers and its `PreparedRequest` stay as they are.
Not recorded: a request that could not be prepared, since nothing went out.
"""

from __future__ import annotations

from contextvars import ContextVar

from brakit.guard import Raised
from brakit.instrumentations import _fetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=2.28,<3"

_sending: ContextVar[int | None] = ContextVar("brakit_requests_session", default=None)
"""Identity of the session whose call is being recorded."""


def instrument(patch: Patches) -> None:
    patch.probe("requests:Session.send", send)


def send(call: Call) -> Generator[None, Any, None]:
    session = id(call.args[0])
    outer = _sending.get()
    # A redirect is sent by the same session, which sets this; what a hook of the app sends in between is a call of its own.
    hop = outer is None or (outer == session and call.arg("allow_redirects") is False)
    if _fetch.covered() and hop:
        return
    request = call.arg("request")
    fetch = _fetch.Fetch(call.client, "requests", request.method, request.url, _fetch.size_of(request.headers))
    _sending.set(session)
    try:
        response = yield
    except Raised as raised:
        answer = getattr(raised.error, "response", None)
        fetch.fail(raised.error, getattr(answer, "status_code", 0))
    else:
        fetch.finish(response.status_code, _size(response))
    finally:
        fetch.uncover()
        _sending.set(outer)


def _size(response: Any) -> int | None:
    size = _fetch.size_of(response.headers)
    content = vars(response).get("_content")
    return len(content) if size is None and type(content) is bytes else size
