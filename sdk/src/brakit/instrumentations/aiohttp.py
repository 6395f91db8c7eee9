"""aiohttp: outgoing HTTP calls of its client, through ClientSession._request; redirects lie inside, a streamed body does not.

Our ids are added to each request to a trusted host, through ClientRequest.send: for the time of sending, to the headers that aiohttp
has made for it. The app's headers and those of its session stay as they are. A WebSocket's handshake is left alone.

Its server: every request and WebSocket connection, through RequestHandler._handle_request, with the path of its resource.
"""

from __future__ import annotations

from brakit.guard import Raised
from brakit.instrumentations import _aiohttp_web, _fetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=3.9,<4"


def instrument(patch: Patches) -> None:
    patch.probe("aiohttp:ClientSession._request", request)
    patch.probe("aiohttp:ClientSession._ws_connect", handshake)
    patch.probe("aiohttp:ClientRequest.send", send)
    _aiohttp_web.instrument(patch)


def request(call: Call) -> Generator[None, Any, None]:
    outer = _fetch.covering.get()
    # What a middleware of the app sends in between is a call of its own.
    if _fetch.covered() and (outer is None or outer.data["source"] != "aiohttp"):
        return
    fetch = _fetch.Fetch(call.client, "aiohttp", call.arg("method"), _url(call))
    fetch.record.data["has_timeout"] = _has_timeout(call)
    try:
        response = yield
    except Raised as raised:
        # `raise_for_status` makes an exception of an answer, which has its status.
        fetch.fail(raised.error, getattr(raised.error, "status", 0))
    else:
        fetch.finish(response.status, _fetch.size_of(response.headers))
    finally:
        fetch.uncover()


def handshake(_: Call) -> Generator[None, Any, None]:
    before = _fetch.cover(None)
    try:
        yield
    except Raised:
        pass
    finally:
        _fetch.uncover(before)


def send(call: Call) -> Generator[None, Any, None]:
    outer = _fetch.covering.get()
    if outer is None or outer.data["fetch_id"] is None:
        return
    request = call.args[0]
    headers = request.headers
    names = {name.lower() for name in headers}
    authorization = headers.get("authorization", "")
    ours = _fetch.outgoing(call.client, request.url.raw_host, outer.data["fetch_id"], names, authorization)
    for name, value in ours:
        headers[name] = value
    if outer.data["request_size"] is None:
        outer.data["request_size"] = _fetch.size_of(headers)
    try:
        yield
    except Raised:
        pass
    finally:
        for name, _ in ours:
            headers.popall(name, None)


def _has_timeout(call: Call) -> bool | None:
    """Whether aiohttp gives up by itself: by the call's own limits, else by those of its session."""
    limits: Any
    for limits in (call.arg("timeout"), getattr(call.args[0], "_timeout", None)):
        if type(limits) in (int, float):
            return True
        if type(limits).__name__ == "ClientTimeout":
            return (limits.total, limits.sock_read, limits.sock_connect) != (None, None, None)
    return None


def _url(call: Call) -> object:
    given, params = call.arg("str_or_url"), call.arg("params")
    if type(given) is not str and type(given).__module__.partition(".")[0] != "yarl":
        return given
    url = call.args[0]._build_url(given)
    # yarl takes plain values only; what else may stand in there is not asked.
    return str(url.update_query(params) if params and type(params) in (dict, list, tuple, str) else url)
