"""Whose work is this? The current owner (a request, or a span inside it), and ids in and out of the process."""

from __future__ import annotations

import os
from collections import deque
from contextvars import ContextVar

from brakit.native import fork_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextvars import Context
    from typing import Any

    from brakit.errors import Report
    from brakit.record import Record

REQUEST_ID_HEADER = "x-brakit-request-id"
FETCH_ID_HEADER = "x-brakit-fetch-id"
TRACEPARENT_HEADER = "traceparent"

# Our own reference: an app that seeds or replaces `os.urandom` in a test must not make two requests share an id.
_urandom = os.urandom
_HEX = frozenset("0123456789abcdef")
_HOST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")


MADE_AT_ONCE = 64
"""Ids that are made with one call to the system, which costs more than all else about them."""
_ready: deque[str] = deque()
_here = fork_mark()


def new_request_id() -> str:
    """32 hex digits: id of a request, and of its trace where none came in."""
    if not _here[0]:
        # In a child process: the ids that are ready are the parent's.
        _ready.clear()
        _here[0] = 1
    # `pop` is atomic: no two threads get the same.
    try:
        return _ready.pop()
    except IndexError:
        digits = _urandom(16 * MADE_AT_ONCE).hex()
        _ready.extend([digits[at : at + 32] for at in range(32, len(digits), 32)])
        return digits[:32]


def new_span_id() -> str:
    """16 hex digits: id of a span or a fetch, as W3C Trace Context has it."""
    return new_request_id()[:16]


class Owner:
    """A request or a span, while it is the one that causes what happens.

    `root` is the request around a span (itself for a request, None for a span outside any request). `request_id` is what the seed
    calls requestId: the inbound id where there was one.
    """

    __slots__ = (
        "body",
        "envelope",
        "exchange",
        "finished",
        "held",
        "id",
        "muted",
        "outer",
        "outermost",
        "reading",
        "request_id",
        "seen",
        "trace_id",
        "url",
    )

    def __init__(self, id: str, request_id: str | None, trace_id: str, root: Owner | None) -> None:
        self.id = id
        self.request_id = request_id
        self.trace_id = trace_id
        self.outer = root
        self.outermost = False
        self.finished = False
        # Whether what it owns is left out, and how: see `sampling`. A span has it from what it is in.
        self.muted = 0
        # What may still change; it goes out with the request at the latest.
        self.held: dict[int, Record] = {}
        # The same of queries whose rows are still being read. Some that have gone out may be among them.
        self.reading: list[Record] = []
        # Exceptions that have been reported.
        self.seen: dict[object, Report] = {}
        # What is being answered, until the app's call is over: a framework inside another finds it here.
        self.exchange: Any = None
        # What the client has sent, for as long as events of the request are on their way.
        self.url: str | None = None
        self.body: Any = None
        # What stands around the events that it owns, as JSON; made on the sender's thread.
        self.envelope: str | None = None

    @property
    def root(self) -> Owner | None:
        # A reference of its own to itself would leave each request to the collector, and most live long enough to wait for a full turn.
        return self if self.outermost else self.outer

    @root.setter
    def root(self, root: Owner | None) -> None:
        self.outermost = root is self
        self.outer = None if root is self else root


_current: ContextVar[Owner | None] = ContextVar("brakit_owner", default=None)
current = _current.get
"""The owner of what happens now, None outside of any."""

covered: ContextVar[str | None] = ContextVar("brakit_covered", default=None)
"""The kind of event that an instrumentation further out is recording now (`db.query`, `fetch`): those below it keep quiet then."""


def enter(owner: Owner | None) -> Owner | None:
    """Make `owner` the current one; returns the one before.

    Set and overwrite, never `reset(token)`: a token is bound to the context it was made in, and a streamed response is often
    closed in another one.
    """
    before = _current.get()
    _current.set(owner)
    return before


def owner_in(other: Context) -> Owner | None:
    """The owner in another context, that of a task."""
    return other.get(_current)


def request_owner(inbound_id: str | None, traceparent: str | None) -> tuple[Owner, str | None, str | None]:
    """An owner for a new request, with the inbound request id (or None) and the caller's span id (or None).

    Ids from outside are used only when they have the form of an id; everything else is ignored.
    """
    id = new_request_id()
    inbound = parse_request_id(inbound_id) if inbound_id else None
    trace_id, span_id = parse_traceparent(traceparent) if traceparent else (None, None)
    if inbound is None:
        owner = Owner(id, id, trace_id or id, None)
    else:
        owner = Owner(id, inbound, trace_id or inbound.replace("-", "").lower(), None)
    owner.outermost = True
    return owner, inbound, span_id


def span_owner() -> Owner:
    """An owner for a new span inside the current one."""
    parent = _current.get()
    if parent is None:
        return Owner(new_span_id(), None, new_request_id(), None)
    owner = Owner(new_span_id(), parent.request_id, parent.trace_id, parent.root)
    owner.muted = parent.muted
    return owner


def parse_request_id(text: str) -> str | None:
    """`text` as it is when it is 32 hex digits or a UUID, None for anything else."""
    digits = text
    if len(text) == 36 and text[8] == text[13] == text[18] == text[23] == "-":
        digits = text.replace("-", "")
    return text if len(digits) == 32 and _HEX.issuperset(digits.lower()) else None


def parse_traceparent(text: str) -> tuple[str | None, str | None]:
    """Trace id and parent span id of a W3C `traceparent` (https://www.w3.org/TR/trace-context/), or two None."""
    if len(text) < 55 or text[2] != "-" or text[35] != "-" or text[52] != "-":
        return None, None
    version, trace_id, span_id, flags = text[:2], text[3:35], text[36:52], text[53:55]
    # Version 00 has exactly 55 characters; a later one may go on behind another dash.
    if version == "ff" or (version == "00" and len(text) != 55) or (len(text) > 55 and text[55] != "-"):
        return None, None
    if not _HEX.issuperset(version + trace_id + span_id + flags) or trace_id == "0" * 32 or span_id == "0" * 16:
        return None, None
    return trace_id, span_id


def outgoing_headers(owner: Owner | None, fetch_id: str) -> list[tuple[str, str]]:
    """What a call to a trusted host carries along: the ids under which the callee joins this request."""
    if owner is None:
        return [(FETCH_ID_HEADER, fetch_id)]
    headers = [(TRACEPARENT_HEADER, f"00-{owner.trace_id}-{fetch_id}-01"), (FETCH_ID_HEADER, fetch_id)]
    if owner.root is not None:
        headers.insert(0, (REQUEST_ID_HEADER, owner.root.id))
    return headers


MAX_HOSTS = 1000
_trusted: dict[tuple[str, tuple[str, ...]], bool] = {}


def trusted_host(host: str, allowed: tuple[str, ...]) -> bool:
    """Whether our ids may go there: loopback, private (RFC 1918, RFC 4193, link-local) and allow-listed hosts, single-label names."""
    known = _trusted.get((host, allowed))
    if known is None:
        if len(_trusted) >= MAX_HOSTS:
            _trusted.clear()
        known = _trusted[host, allowed] = _is_trusted(host, allowed)
    return known


def _is_trusted(host: str, allowed: tuple[str, ...]) -> bool:
    host = host.lower().strip("[]")
    if host in allowed or host in [name.lower() for name in allowed]:
        return True
    if ":" in host:
        first = host.partition(":")[0]
        if len(first) != 4 or not _HEX.issuperset(first):
            return host == "::1"
        return int(first, 16) & 0xFE00 == 0xFC00 or int(first, 16) & 0xFFC0 == 0xFE80
    # Nothing that a resolver may read as something else: other dots, a port, user info, escapes.
    if not host or not _HOST.issuperset(host):
        return False
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return True
    parts = host.split(".")
    if len(parts) == 4 and all(part.isdigit() and len(part) <= 3 and str(int(part)) == part for part in parts):
        first_byte, second = int(parts[0]), int(parts[1])
        if max(map(int, parts)) > 255:
            return False
        return (
            first_byte in (10, 127)
            or (first_byte, second) in ((192, 168), (169, 254))
            or (first_byte == 172 and 16 <= second <= 31)
        )
    # A name without a dot is a container or a machine of one's own network; a number is an address in disguise.
    return len(parts) == 1 and not host.isdigit() and not (host.startswith("0x") and _HEX.issuperset(host[2:]))
