"""Connections that do not say what they want, or do not take what they asked for: closed after a while, and bounded in number, so
that they cannot use up what the process may open."""

from __future__ import annotations

import asyncio
import json
import sys

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from brakit_server.security import HEADERS

HEAD_SECONDS = 5.0
"""How long the head of a request may take to arrive."""

BODY_SECONDS = 10.0
"""The same for its body; a route may have a shorter one."""

UNREAD_SECONDS = 10.0
"""How long an answer may lie there that the client does not read."""

HURRY_SECONDS = 0.5
"""The same, once the server is to end."""

HEAD_BYTES = 64 * 1024
"""Size of a head, by and large: of what had to be read in several pieces."""

HEADER_LINES = 200

MAX_CONNECTIONS = 512
"""Open at a time; for a further one the one goes that has let us wait longest."""

FILES_OF_OURS = 64
"""Descriptors that the rest of the process may need."""

SWEEP_SECONDS = 1.0

CUT = "brakit.cut"
"""ASGI extension: `{"off": function}` ends the connection at once, for an answer that cannot be brought to its end."""

_GUARD = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items()).encode()


class Connections:
    """The open connections of one server. `protocol` is what uvicorn makes one with."""

    def __init__(self) -> None:
        self.room = min(MAX_CONNECTIONS, _files() - FILES_OF_OURS)
        self.open: set[Connection] = set()
        self.most = 0
        """Open at a time, at most, since the start."""
        self.closed: dict[str, int] = {}
        """How many were closed by us, by reason: `head`, `body` and `unread` took too long, `size` was too large, `invalid` was no
        HTTP, `room` was needed for others."""
        self._sweeping: asyncio.TimerHandle | None = None
        self.protocol: type[Connection] = type("Connection", (Connection,), {"all": self})

    def add(self, connection: Connection) -> None:
        """Take one in; where there is no room, the one that has let us wait longest is closed."""
        if len(self.open) >= self.room:
            waited_for = [each for each in self.open if each.is_waited_for()]
            self.close(min(waited_for, key=lambda each: each.since, default=connection), "room")
        if not connection.gone:
            self.open.add(connection)
        self.most = max(self.most, len(self.open))
        if self._sweeping is None:
            self._sweeping = connection.loop.call_later(SWEEP_SECONDS, self._sweep, connection.loop)

    def close(self, connection: Connection, reason: str) -> None:
        """Cut one off. Not in order: who does not read does not read a farewell either."""
        self.count(reason)
        self.open.discard(connection)
        connection.gone = True
        connection.say_no_more()
        connection.transport.abort()

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """The server ends: whoever does not take the rest of an answer soon is cut off."""
        loop.call_later(HURRY_SECONDS, self._hurry)

    def _hurry(self) -> None:
        for each in [each for each in self.open if each.is_stuck()]:
            self.close(each, "unread")

    def count(self, reason: str) -> None:
        """Take down that one is closed."""
        self.closed[reason] = self.closed.get(reason, 0) + 1

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for each in [each for each in self.open if each.is_late(now)]:
            self.close(each, each.reason)
        self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep, loop) if self.open else None


class Connection(HttpToolsProtocol):
    """uvicorn's, with limits on time and size."""

    all: Connections

    due: float | None = None
    """When what the client began to send must be there, in the loop's time; None where it began nothing."""
    since = 0.0
    """Since when we wait for the client."""
    reason = ""
    """What it will have been too slow with."""
    gone = False
    _stuck: float | None = None
    """When an answer began to lie there unread."""
    _answering: RequestResponseCycle | None = None
    _in_head = True
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._extensions: dict[str, dict[object, object]] = {CUT: {"off": self._cut_off}}
        self._wait("head", HEAD_SECONDS)
        self.all.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self.all.open.discard(self)
        self.say_no_more()
        super().connection_lost(exc)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        if self.due is None and self._idle():
            # Empty lines between requests begin none, and end uvicorn's patience with an idle connection.
            self._wait("head", HEAD_SECONDS)
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(431, "The head of the request is too large", "size")

    def on_message_begin(self) -> None:
        self._in_head = True
        self._head_bytes = 0
        self._wait("head", HEAD_SECONDS)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= HEADER_LINES:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.scope["extensions"] = self._extensions
        self._wait("body", BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.due = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        if self.due is None:
            self.since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self._stuck = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stuck = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, msg, "invalid")

    def _cut_off(self) -> None:
        if not self.gone:
            self.all.close(self, "unread")

    def is_late(self, now: float) -> bool:
        """Whether it is to be closed, for `reason`."""
        if self._stuck is not None and now > self._stuck + UNREAD_SECONDS:
            self.reason = "unread"
            return True
        if self.transport.is_closing():
            # What is left to be sent keeps it open; that may take as long as any other answer.
            self._stuck = self._stuck or now
            return False
        return self.due is not None and now > self.due

    def is_waited_for(self) -> bool:
        """Whether it is the client's turn."""
        return self.due is not None or self._idle()

    def is_stuck(self) -> bool:
        """Whether an answer lies there unread."""
        return self._stuck is not None or self.transport.is_closing()

    def say_no_more(self) -> None:
        """Whoever is still answering need not: what is written to a closed connection would be an error of the server's."""
        # uvicorn's own knows the newest request only, of several that came one behind the other.
        for cycle in (self.cycle, self._answering):
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()

    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self, reason: str, seconds: float) -> None:
        self.since = self.loop.time()
        self.due = self.since + seconds
        self.reason = reason

    def _refuse(self, status: int, sentence: str, reason: str) -> None:
        self.all.count(reason)
        self.say_no_more()
        body = json.dumps({"error": sentence}).encode()
        self.transport.write(
            b"%scontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n%s\r\n%s"
            % (STATUS_LINE[status], len(body), _GUARD, body)
        )
        self.transport.close()


def _files() -> int:
    """How many files the process may have open."""
    if sys.platform == "win32":
        return 8192
    import resource  # there is none on Windows

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**20 if soft == resource.RLIM_INFINITY else soft
