"""niquests: outgoing HTTP calls, through Session.send and AsyncSession.send; redirects, retries and the body of an answer that is not
streamed lie inside.

An answer of a multiplexed session is a promise: its call lasts until the app looks at it or gathers it. Our ids are added where the
request goes to its connection, for a trusted host only: the app's headers and its `PreparedRequest` stay as they are. Not recorded: a
request that could not be prepared, and outside of a request or job, a promise that nobody asks for.
"""

from __future__ import annotations

from contextvars import ContextVar

from brakit import errors
from brakit.clocks import clock
from brakit.guard import Raised
from brakit.instrumentations import _fetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=3.14,<4"

KEY = "_brakit_fetch"
"""Where an answer that has not come yet has our record of its call."""

_sending: ContextVar[int | None] = ContextVar("brakit_niquests_session", default=None)
"""Identity of the session whose call is being recorded."""


def instrument(patch: Patches) -> None:
    patch.probe("niquests.sessions:Session.send", send)
    patch.probe("niquests.async_session:AsyncSession.send", send)
    for adapter in ("HTTPAdapter", "AsyncHTTPAdapter"):
        patch.probe(f"niquests.adapters:{adapter}._future_handler", arrived)
        patch.probe(f"niquests.adapters:{adapter}.gather", gather)
    # Its own urllib3 goes by either of two names: these are the classes of the one that it has taken.
    for pool in ("HTTPConnectionPool", "AsyncHTTPConnectionPool"):
        patch.probe(f"niquests.adapters:{pool}._make_request", carry)


def send(call: Call) -> Generator[None, Any, None]:
    session = id(call.args[0])
    outer = _sending.get()
    # A redirect is sent by the same session, which sets this; what a hook of the app sends in between is a call of its own.
    hop = outer is None or (outer == session and call.arg("allow_redirects") is False)
    if _fetch.covered() and hop:
        return
    request = call.arg("request")
    fetch = _fetch.Fetch(call.client, "niquests", request.method, request.url, _fetch.size_of(request.headers))
    _sending.set(session)
    try:
        response = yield
    except Raised as raised:
        answer = getattr(raised.error, "response", None)
        fetch.fail(raised.error, 0 if answer is None or _pending(answer) else getattr(answer, "status_code", 0))
    else:
        if _pending(response):
            _wait(fetch, response)
        else:
            fetch.finish(response.status_code, _size(response))
    finally:
        fetch.uncover()
        _sending.set(outer)


def arrived(call: Call) -> Generator[None, Any, None]:
    """An answer is there: the last one, or one that leads to the next request."""
    response, answer = call.arg("response"), call.arg("low_resp")
    fetch = _held(response).pop(KEY, None)
    if fetch is None:
        return
    before = _fetch.cover(fetch.record)
    try:
        following = yield
    except Raised as raised:
        _end(call.client, fetch, answer.status, raised.error)
    else:
        if following is not None:
            _held(following)[KEY] = fetch
        else:
            fetch.record.data["response_size"] = _fetch.size_of(answer.headers)
            _end(call.client, fetch, answer.status)
    finally:
        _fetch.uncover(before)


def gather(call: Call) -> Generator[None, Any, None]:
    """What fails before an answer is there fails here; which call it was is known where the app has asked for a single one."""
    responses = call.args[1:]
    try:
        yield
    except Raised as raised:
        fetch = _held(responses[0]).pop(KEY, None) if len(responses) == 1 else None
        if fetch is not None:
            _end(call.client, fetch, 0, raised.error)


def carry(call: Call) -> Generator[None, Any, None]:
    """Put our ids on what goes over the wire to a host that may have them."""
    record = _fetch.covering.get() if _fetch.covered() else None
    if record is not None and record.data["source"] == "niquests":
        headers = call.arg("headers")
        given = {_text(name).lower(): value for name, value in headers.items()} if headers is not None else {}
        host = _fetch.host_of(call.arg("url")) or call.args[0].host
        ours = _fetch.outgoing(call.client, host, record.data["fetch_id"], set(given), _text(given.get("authorization", "")))
        if ours:
            copy = headers.copy() if headers is not None else {}
            for name, value in ours:
                copy[name] = value
            call.replace("headers", copy)
    yield


def _held(response: Any) -> dict[str, Any]:
    """The attributes of an answer; asking for one in the usual way would wait for it."""
    held: dict[str, Any] = object.__getattribute__(response, "__dict__")
    return held


def _pending(response: Any) -> bool:
    return "_promise" in _held(response)


def _wait(fetch: _fetch.Fetch, response: Any) -> None:
    record = fetch.record
    _held(response)[KEY] = fetch
    record.data["status_code"] = 0
    record.ended = clock()
    if record.owner is not None and record.owner.root is not None:
        record.hold(fetch.client.buffer)


def _end(client: Client, fetch: _fetch.Fetch, status: object, error: BaseException | None = None) -> None:
    record = fetch.record
    if record.emitted:
        return
    record.ended = clock()
    record.data["status_code"] = status if type(status) is int else 0
    if error is not None:
        record.data["error"] = errors.text_of(error)
    record.release(client.buffer)


def _size(response: Any) -> int | None:
    size = _fetch.size_of(response.headers)
    content = _held(response).get("_content")
    return len(content) if size is None and type(content) is bytes else size


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str.__str__(value)
