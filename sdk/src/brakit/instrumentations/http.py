"""http.client: outgoing HTTP calls of those who use it directly, through HTTPConnection.putrequest, endheaders, send and getresponse.

`request` calls the first two. One record for each request, from its first line to the head of its answer. What a library on top records
itself (urllib.request, urllib3, requests, botocore) is left to it; this is where its request gets our ids, for a trusted host only and
not for a signed request, written to the wire and nowhere else. Not recorded: a request whose answer is never asked for.
"""

from __future__ import annotations

import socket
import sys

from brakit.guard import Raised
from brakit.instrumentations import _fetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.client import Client
    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ""

KEY = "_brakit_fetch"
"""Where a connection has what is under way on it."""


class Pending:
    """A request that has been begun: our record of it, or that of a library on top (`outer`), and the host that it is for."""

    __slots__ = ("fetch", "host", "outer")

    def __init__(self, fetch: _fetch.Fetch | None, outer: Any, host: str) -> None:
        self.fetch = fetch
        self.outer = outer
        self.host = host


def instrument(patch: Patches) -> None:
    patch.probe("http.client:HTTPConnection.putrequest", putrequest)
    patch.probe("http.client:HTTPConnection.endheaders", endheaders)
    patch.probe("http.client:HTTPConnection.send", send)
    patch.probe("http.client:HTTPConnection.getresponse", getresponse)


def putrequest(call: Call) -> Generator[None, Any, None]:
    connection, method, url = call.args[0], call.arg("method"), call.arg("url")
    target = url if isinstance(url, str) and url.startswith(("http://", "https://")) else None
    host = _fetch.host_of(target) if target else vars(connection).get("_tunnel_host") or connection.host
    if _fetch.covered():
        fetch, outer = None, _fetch.covering.get()
        if outer is not None and outer.data["method"] is None:
            outer.data["method"] = _fetch.plain(method)
    else:
        fetch, outer = _fetch.Fetch(call.client, "http.client", method, target or _origin(connection, host) + (url or "/")), None
        # Nothing of the app's or of a library's runs until the answer is asked for, which may be in another call.
        fetch.uncover()
    try:
        yield
    except Raised:
        return
    vars(connection)[KEY] = Pending(fetch, outer, host)


def endheaders(call: Call) -> Generator[None, Any, None]:
    connection = call.args[0]
    pending = vars(connection).get(KEY)
    if pending is None:
        return
    call.client.attempt("http.carry", _carry, call.client, connection, pending)
    yield from _watched(connection, pending)


def send(call: Call) -> Generator[None, Any, None]:
    connection = call.args[0]
    pending = vars(connection).get(KEY)
    if pending is not None:
        yield from _watched(connection, pending)


def getresponse(call: Call) -> Generator[None, Any, None]:
    pending = vars(call.args[0]).pop(KEY, None)
    if pending is None:
        return
    record = pending.fetch.record if pending.fetch is not None else pending.outer
    sock = call.args[0].sock
    if record is not None and isinstance(sock, socket.socket):
        # Whatever a library was told, or its adapters: this is how long the wait will be.
        record.data["has_timeout"] = socket.socket.gettimeout(sock) is not None
    if pending.fetch is None:
        return
    try:
        response = yield
    except Raised as raised:
        pending.fetch.fail(raised.error)
    else:
        pending.fetch.finish(response.status, _fetch.size_of(response.headers))


def _watched(connection: Any, pending: Pending) -> Generator[None, Any, None]:
    """A step of a request that may end it."""
    try:
        yield
    except Raised as raised:
        vars(connection).pop(KEY, None)
        if pending.fetch is not None:
            pending.fetch.fail(raised.error)


def _carry(client: Client, connection: Any, pending: Pending) -> None:
    """Write our ids behind the headers that are about to be sent."""
    record = pending.fetch.record if pending.fetch is not None else pending.outer
    if record is None:
        return
    names, authorization = set(), ""
    for line in connection._buffer[1:]:
        name, _, value = line.partition(b":")
        names.add(name.decode("latin-1").lower())
        if name.lower() == b"authorization":
            authorization = value.strip().decode("latin-1")
    putheader = sys.modules["http.client"].HTTPConnection.putheader
    for name, value in _fetch.outgoing(client, pending.host, record.data["fetch_id"], names, authorization):
        putheader(connection, name, value)


def _origin(connection: Any, host: str) -> str:
    tunnelled = vars(connection).get("_tunnel_host")
    port = connection._tunnel_port if tunnelled else connection.port
    scheme = "https" if connection.default_port == 443 else "http"
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if port in (None, connection.default_port) else f"{scheme}://{name}:{port}"
