"""One incoming request and its answer, whichever way it came in: what `_asgi.py` and `_wsgi.py` write down on the app's thread."""

from __future__ import annotations

import sys

from brakit import context, errors, sampling
from brakit.guard import run
from brakit.record import MAX_BODY, TEXT_TYPES, Record, clock, release_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from brakit.client import Client
    from brakit.context import Owner

    Pairs = Sequence[tuple[bytes | str, bytes | str]]

DASHBOARD = "/__brakit"
KEY = "brakit.exchange"
"""Where a scope or an environ carries its exchange, so that an app inside another adds to it instead of being recorded again."""
BACKGROUND_NS = 4_000_000
"""What goes on after the last byte for longer than this is shown as a span of its own."""
LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
COST = 2048
"""Bytes that a request takes without its bodies, about: its headers, its ids, itself."""
SMALL = 512
"""Bytes of a body that are kept without a look at its headers, which costs more."""
MAX_ID = 64
MAX_TRACEPARENT = 512
_HEX = frozenset("0123456789abcdef-")
_MARKS = "/:@!$&'()*+,;=~-._"
_UNQUOTED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789" + _MARKS)


class Body:
    """The size of a body, and its first bytes when it is a text."""

    # Defaults stand in the class: most requests have no body, and what is not set costs nothing.
    chunks: list[bytes] | None = None
    held = 0
    keep: bool | None = None
    """None until the first bytes: a look at the headers is dear."""
    size = 0
    touched = False

    def add(self, chunk: Any) -> None:
        """Count `chunk` (bytes, bytearray or memoryview) and keep what there is room for."""
        size = len(chunk)
        self.size += size
        if self.keep and size and self.held < MAX_BODY:
            piece = bytes(chunk[: MAX_BODY - self.held])
            if self.chunks is None:
                self.chunks = []
            self.chunks.append(piece)
            self.held += len(piece)

    def content(self) -> bytes | None:
        return b"".join(self.chunks) if self.chunks else None


class Exchange(Record):
    """A request from its arrival until the app is done with it, and the record of it.

    `source` is the scope or the environ; `find_route` reads the route template from it when the answer is out. `committed` is true
    once something of the answer is on its way to the client, `left` when the client is known to have gone before the end.
    """

    # What most exchanges leave as it is stands in the class. `Record` has slots, this has not.
    committed = False
    continued = 0
    """When the app went on after the last byte, where somebody else had the word in between; 0: at once."""
    deferred = False
    error: str | None = None
    find_route: Callable[[Any], str | None] | None = None
    finished = False
    framework: str | None = None
    has_jobs = False
    """What goes on after the last byte has records of its own."""
    last = False
    left = False
    messages: tuple[int, int] | None = None
    """Of a WebSocket connection: how many came and went."""
    over = False
    prefix = ""
    response_headers: Pairs = ()
    response_start: int | None = None
    route: str | None = None
    status = 0

    def __init__(self, client: Client, source: Any, method: str, path: str, url: str, headers: Pairs, ids: Ids) -> None:
        # All fields of a record are set here, `super` would cost more than they do.
        self.kind = "request"
        self.site = None
        self.cost = 0
        self.emitted = False
        self.started = self.ended = clock()
        owner, _, span_id = context.request_owner(ids.request_id, ids.traceparent)
        self.owner: Owner = owner
        self.client = client
        self.source = source
        self.method = method
        self.path = path
        self.url = url
        self.headers = headers
        self.parent = ids.fetch_id or span_id
        self.request = Body()
        self.response = Body()
        self.known: dict[str, object] | None = None
        owner.exchange = self
        owner.url = url
        owner.body = self.request
        if client.sampler is not None:
            owner.muted = client.sampler.decide("/", path)
        self.before = context.enter(owner)

    @property
    def data(self) -> dict[str, object]:  # type: ignore[override]
        """Put together when it is asked for, on the sender's thread."""
        request, response = self.request, self.response
        data: dict[str, object] = {
            "id": self.owner.id,
            "method": self.method,
            "url": self.url,
            "path": self.path,
            "headers": self.headers,
            "parent_fetch_id": self.parent,
            "status_code": self.status,
            "response_headers": self.response_headers,
            "framework": self.framework,
            "route": self.route,
        }
        if self.response_start is not None:
            data["response_start_ms"] = round((self.response_start - self.started) / 1e6, 3)
        if request.touched:
            data["request_size"] = request.size
            data["request_body"] = request.content()
        if self.method == "HEAD" or self.status in (204, 304):
            data["response_size"] = 0
        else:
            data["response_size"] = response.size
            data["response_body"] = response.content()
        if self.left:
            data["cancelled"] = True
        if self.messages is not None:
            data["messages_received"], data["messages_sent"] = self.messages
        if self.known is not None:
            data.update(self.known)
        return data

    def __enter__(self) -> Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        """The end of a `with` around what comes after its making, whatever of ours has failed in it: the owner of before is back."""
        context.enter(self.before)

    def origin(self) -> dict[str, object]:
        """Client, scheme and HTTP version, read at the end: what a proxy says about them is known by then."""
        raise NotImplementedError

    def read(self, chunk: Any) -> None:
        """The app has read `chunk` of the request's body."""
        body = self.request
        body.touched = True
        if not chunk:
            return
        if body.keep is None:
            body.keep = self.client.config.bodies and is_text(self.headers)
        body.add(chunk)

    def start(self, status: int, headers: Pairs) -> None:
        """The app has handed over status and headers; the last time counts."""
        self.response_start = clock()
        self.status = status
        self.response_headers = headers
        self.response.keep = None

    def sending(self, chunk: Any) -> None:
        """The app hands over `chunk` of the answer's body."""
        if chunk and not self.left:
            self.committed = True
            body = self.response
            # Of a small body the sender finds out whether it is a text.
            if body.keep is None and not body.size and len(chunk) <= SMALL:
                body.chunks = [bytes(chunk)] if self.client.config.bodies and self.method != "HEAD" else None
                body.size = len(chunk)
                body.held = body.size if body.chunks else 0
                return
            if body.keep is None:
                body.keep = self.client.config.bodies and self.method != "HEAD" and is_text(self.response_headers)
            body.add(chunk)

    def measure(self) -> None:
        """The server sends a file by itself: its size is what the headers say."""
        text = header(self.response_headers, "content-length")
        if text.isascii() and text.isdigit():
            self.response.size = int(text)

    def whole(self) -> bool:
        """Whether the client has all that was announced: what it does then breaks off nothing."""
        length = header(self.response_headers, "content-length")
        return self.committed and length != "" and (length == str(self.response.size) or self.method == "HEAD")

    def lost(self) -> None:
        """The client has gone."""
        self.left = True

    def caught(self, error: BaseException, mechanism: str) -> None:
        """`error` leaves the app."""
        if self.finished:
            self.error = errors.text_of(error)
        if not isinstance(error, Exception):
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                self.status = self.status if self.committed else 500
            elif not self.finished and not self.whole():
                # Cancelled from outside, or closed without being read to the end.
                self.left = True
            return
        if self.left and (isinstance(error, OSError) or type(error).__name__ == "ClientDisconnect"):
            return
        errors.capture(self.client, error, mechanism)
        if not self.committed:
            self.status = 500
            self.response_headers = ()
            self.response_start = None

    def complete(self, defer: bool = False) -> None:
        """The last byte is out: hand over what the request still holds, then its record.

        With `defer`, all that waits for the end of the app's call where a 500 is answered while an exception is under way: the error
        comes before its request.
        """
        if self.finished:
            return
        self.finished = True
        self.ended = clock()
        self.status = status = 499 if self.left and not self.committed else self.status or 500
        if status >= 500 and self.owner.muted:
            sampling.bring_back(self.owner)
        client = self.client
        run(client.failures, "source", self.look_up)
        # From here on nothing leads back to the app.
        self.source = self.find_route = None
        self.cost = COST + self.request.held + self.response.held
        if defer and status >= 500 and sys.exc_info()[1] is not None:
            self.deferred = True
        else:
            self._hand_over()

    def look_up(self) -> None:
        """What the scope or the environ tells in the end."""
        self.known = self.origin()
        if self.route is None and self.find_route is not None:
            self.route = self.find_route(self.source)

    def _hand_over(self) -> None:
        release_all(self.owner, self.client.buffer)
        self.emit(self.client.buffer)

    def end(self) -> None:
        """The app is done: nothing more comes from it under this request."""
        if self.over:
            return
        self.over = True
        if not self.finished:
            self.complete()
        else:
            if self.deferred:
                self._hand_over()
            self._background()
        self.owner.exchange = None

    def _background(self) -> None:
        started = self.continued or self.ended
        if not self.has_jobs and clock() - started > BACKGROUND_NS:
            span = Record("span", {"name": "background tasks", "span_id": context.new_span_id()}, started)
            span.owner = self.owner
            span.finish(self.client.buffer, error=self.error)


class Ids:
    """The ids that came in, each None unless it has the form of one."""

    __slots__ = ("fetch_id", "request_id", "traceparent")

    def __init__(self, request_id: str | None, traceparent: str | None, fetch_id: str | None) -> None:
        self.request_id = request_id if request_id and len(request_id) <= MAX_ID else None
        self.traceparent = traceparent if traceparent and len(traceparent) <= MAX_TRACEPARENT else None
        # 16 digits from us, 32 from the Python SDK before us, a UUID from Node.
        self.fetch_id = fetch_id if fetch_id and len(fetch_id) in (16, 32, 36) and _HEX.issuperset(fetch_id) else None


NO_IDS = Ids(None, None, None)


def header(headers: Pairs, wanted: str) -> str:
    """The first value of a header, lower case; empty when there is none. `wanted` is lower case."""
    length = len(wanted)
    for name, value in headers:
        if len(name) == length and (name.decode("latin-1") if isinstance(name, bytes) else name).lower() == wanted:
            return (value.decode("latin-1") if isinstance(value, bytes) else value).lower()
    return ""


def is_text(headers: Pairs) -> bool:
    """Whether the body below these headers may be a text."""
    content_type = header(headers, "content-type")
    if not content_type:
        return True
    return any(word in content_type for word in TEXT_TYPES)


def dashboard(client: Client, method: str, peer: object, host: str, port: object, target: str) -> str | None:
    """Where `/__brakit` on the app's own port leads, for a person on this machine; None for anybody else, and while no server is known.

    `peer` is the address of the client, `host` the Host header, `port` the app's own, `target` path and query, quoted.
    """
    path = target.partition("?")[0]
    if method not in ("GET", "HEAD") or peer not in LOOPBACK or not (path + "/").startswith(DASHBOARD + "/"):
        return None
    address = client.sender.address if client.sender is not None else None
    if address is None:
        client.look()
        return None
    name = host.lower()
    if not name.endswith("]"):
        name = name.rpartition(":")[0] or name
    if name not in LOOPBACK_NAMES or str(port) == str(address.port):
        return None
    return f"http://{address.host}:{address.port}{target}"


def quoted(path: str) -> str:
    """A decoded path as it stands in a URL."""
    if _UNQUOTED.issuperset(path):
        return path
    from urllib.parse import quote

    return quote(path, safe=_MARKS, errors="surrogateescape")
