"""`Stream`: what happens, to every open dashboard, as server-sent events.

Clients have no queues. Each knows the last `seq` that it was sent; the newest frames stand in one ring for all, and what is older
is read from the store. So a client costs nothing while it is slow, and resuming is the same as being behind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from brakit_server.answers import Run, StatefulIssue
from brakit_server.filters import Matcher, Node
from brakit_server.stores import Store, Stored

NAMES = {
    "request": None,
    "db.query": "query",
    "fetch": "fetch",
    "log": "log",
    "error": "error_event",
    "auth.check": "auth_check",
    "span": "span",
    "job": "job",
}
"""Kind → name of its event; None is the default message. Other kinds are not sent."""

KINDS_TOGETHER = {kind: (name or "request").encode() for kind, name in NAMES.items()}
"""The same where many are sent at once; requests have a name there too."""

RING_EVENTS = 10_000
RING_BYTES = 8 * 1024 * 1024
MAX_BEHIND = 10_000
"""Events that a client may be behind; beyond, it is told to load anew."""

CHUNK_BYTES = 64 * 1024
TOGETHER_BYTES = 256 * 1024
"""Of one message to a client that takes many events at a time."""

TICK_SECONDS = 0.05
"""Such a client has news so often at most."""

PAGE = 500
MAX_CLIENTS = 100
SIFT_SECONDS = 0.25
"""How long a client's filter is asked before what it let through is sent."""

SIFTERS = 2
"""Threads that ask filters: whatever a filter costs, it does not cost the event loop."""

_encode = msgspec.json.Encoder().encode


class Shown(msgspec.Struct, frozen=True, gc=False):
    """An event as it is sent: of a kind that nobody is sent, without text."""

    stored: Stored
    text: bytes
    """Its JSON, one line."""


def apart(shown: Sequence[Shown]) -> bytes:
    """A message for each event. Name and id are ours; the record is one line of JSON, so nothing captured can end a message early."""
    return b"".join(frame(each) for each in shown if each.text)


def together(shown: Sequence[Shown]) -> bytes:
    """One message: `event: batch`, a list of name and record of each event, with the id of the last."""
    told = [b'["%s",%s]' % (KINDS_TOGETHER[each.stored.kind], each.text) for each in shown if each.text]
    if not told:
        return b"id: %d\n\n" % shown[-1].stored.seq if shown else b""
    return b"id: %d\nevent: batch\ndata: [%s]\n\n" % (shown[-1].stored.seq, b",".join(told))


Form = Callable[[Sequence[Shown]], bytes]


class Sieve:
    """The filter of one client, with what is known of the processes that it may ask for."""

    def __init__(self, store: Store, node: Node) -> None:
        self._store = store
        self._runs: dict[str | None, Run] = {}
        self._holds = Matcher(node, time.time() * 1000, self._runs.get)

    async def prepare(self, shown: Sequence[Shown]) -> None:
        """Learn of the processes of these events. Raises `StoreUnavailable`."""
        if any(each.stored.entry.run not in self._runs for each in shown if each.stored.entry.run):
            self._runs.update({run.run: run for run in await self._store.runs()})

    def sift(self, shown: Sequence[Shown], form: Form) -> tuple[int, bytes]:
        """The `seq` up to which the filter was asked, and the frames that it let through. For a thread of its own."""
        deadline = time.monotonic() + SIFT_SECONDS
        kept = []
        for each in shown:
            if each.text and self._holds(each.stored.kind, each.stored.entry):
                kept.append(each)
            if time.monotonic() > deadline:
                break
        last = each.stored.seq
        # An id without data moves the place from which a client resumes.
        told = b"" if kept and kept[-1].stored.seq == last else b"id: %d\n\n" % last
        return last, (form(kept) if kept else b"") + told


class Client:
    """One open stream. `next()` gives what is to be sent."""

    def __init__(self, stream: Stream, position: int, lost: bool, sieve: Sieve | None, form: Form) -> None:
        self._stream = stream
        self._form = form
        self.together = form is together
        """Takes many events at a time, and none at once."""
        self._sieve = sieve
        self._position = position
        self._lost = lost
        self._news: dict[str, bytes] = {}
        self._wake = asyncio.Event()
        self.closed = False
        self.on_close: Callable[[], None] | None = None
        """Called when the stream is to end though the client may not be reading."""

    def tell(self, name: str, frame: bytes) -> None:
        """Send a frame that has no place in the order; a newer one of its name takes its place."""
        self._news[name] = frame
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    def close(self) -> None:
        self.closed = True
        self._wake.set()
        if self.on_close is not None:
            self.on_close()

    async def next(self, patience: float) -> bytes | None:
        """The next bytes; a comment when nothing happened for `patience` seconds; None when the stream is to be closed."""
        stream = self._stream
        while not self.closed:
            self._wake.clear()
            if self._lost:
                self._lost = False
                self._position = stream.head
                return stream.resync()
            if self._news:
                frames = b"".join(self._news.values())
                self._news.clear()
                return frames
            if self._position < stream.head:
                chunk = await self._behind()
                if chunk:
                    return chunk
                continue
            try:
                async with asyncio.timeout(patience):
                    await self._wake.wait()
            except TimeoutError:
                return b":heartbeat\n\n"
        return None

    async def _behind(self) -> bytes:
        stream = self._stream
        if stream.head - self._position > MAX_BEHIND:
            # It reads more slowly than things happen: what it missed is better loaded as a list.
            self.closed = True
            return stream.resync()
        found = stream.after(self._position, TOGETHER_BYTES if self.together else CHUNK_BYTES)
        if found is None:
            found = await self._stored()
            if found is None:
                self._lost = True
                return b""
        if self._sieve is None:
            self._position = found[-1].stored.seq
            return self._form(found)
        await self._sieve.prepare(found)
        self._position, chunk = await stream.in_thread(self._sieve, found, self._form)
        return chunk

    async def _stored(self) -> list[Shown] | None:
        stored = await self._stream.store.since(self._position, PAGE)
        if not stored or stored[0].seq != self._position + 1:
            return None
        return [Shown(each, text_of(each)) for each in stored]


class Stream:
    """Everybody who watches. Use from the event loop only."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.head = 0
        """The newest `seq` that was published."""
        self._ring: list[Shown] = []
        self._first = 1
        """The `seq` of the ring's first frame."""
        self._bytes = 0
        self._clients: set[Client] = set()
        self._closed = False
        self._tick: asyncio.TimerHandle | None = None
        self._sifters = ThreadPoolExecutor(SIFTERS, "brakit-filter")
        self._end: asyncio.Future[None] | None = None

    async def start(self) -> None:
        self._end = asyncio.get_running_loop().create_future()
        self.head = await self.store.last_seq()
        self._first = self.head + 1

    def connect(self, last_id: str | None, filter: Node | None = None, form: Form = apart) -> Client | None:
        """A new client, behind by what happened since `last_id`, for what fits `filter`; None when there are too many.

        `form` is `apart` or `together`.
        """
        if self._closed or len(self._clients) >= MAX_CLIENTS:
            return None
        position, lost = self.head, False
        if last_id:
            known = last_id.isascii() and last_id.isdigit() and len(last_id) < 19
            position = int(last_id) if known else self.head
            lost = not known or position > self.head or self.head - position > MAX_BEHIND
        client = Client(self, position, lost, Sieve(self.store, filter) if filter is not None else None, form)
        self._clients.add(client)
        return client

    @property
    def clients(self) -> int:
        """How many streams are open."""
        return len(self._clients)

    def disconnect(self, client: Client) -> None:
        self._clients.discard(client)

    def watched(self) -> bool:
        """Whether anybody watches."""
        return bool(self._clients)

    def publish(self, stored: Sequence[Stored]) -> None:
        """Show entries that were just stored, in the order of their `seq`."""
        if not stored:
            return
        if not self._clients or stored[0].seq != self.head + 1:
            self._ring.clear()
            self._bytes = 0
            self._first = stored[0].seq if self._clients else stored[-1].seq + 1
        if self._clients:
            texts = [text_of(each) for each in stored]
            self._ring += map(Shown, stored, texts)
            self._bytes += sum(map(len, texts))
            self._bound()
        self.head = stored[-1].seq
        for client in self._clients:
            if not client.together:
                client.wake()
            elif self._tick is None:
                self._tick = asyncio.get_running_loop().call_later(TICK_SECONDS, self._wake)

    def _bound(self) -> None:
        gone = 0
        while len(self._ring) - gone > RING_EVENTS or self._bytes > RING_BYTES:
            self._bytes -= len(self._ring[gone].text)
            gone += 1
        del self._ring[:gone]
        self._first += gone

    def _wake(self) -> None:
        self._tick = None
        for client in self._clients:
            if client.together:
                client.wake()

    def issues(self, issues: list[StatefulIssue]) -> None:
        """Show the issues as they are now."""
        self._tell("issues", b"event: issues\ndata: " + _encode(issues) + b"\n\n")

    def cleared(self) -> None:
        """Show that everything was deleted."""
        self._ring.clear()
        self._bytes = 0
        self._first = self.head + 1
        for client in self._clients:
            client.tell("cleared", b"event: cleared\ndata: {}\n\n")

    def after(self, position: int, most: int = CHUNK_BYTES) -> list[Shown] | None:
        """What is behind `position`, oldest first, at most so many bytes and an event; None when the ring no longer has it."""
        start = position + 1 - self._first
        if start < 0 or start >= len(self._ring):
            return None
        found, size = [], 0
        for each in self._ring[start:]:
            found.append(each)
            size += len(each.text)
            if size >= most:
                break
        return found

    async def in_thread(self, sieve: Sieve, shown: Sequence[Shown], form: Form) -> tuple[int, bytes]:
        """`Sieve.sift`, off the event loop; nothing once the stream is to end, however long that filter takes."""
        nothing = shown[-1].stored.seq, b""
        if self._end is None or self._end.done():
            return nothing
        asked = asyncio.get_running_loop().run_in_executor(self._sifters, sieve.sift, shown, form)
        await asyncio.wait((asked, self._end), return_when=asyncio.FIRST_COMPLETED)
        return asked.result() if asked.done() and not asked.cancelled() else nothing

    def resync(self) -> bytes:
        """Tells a client to load everything anew, and where it then is."""
        return b"id: %d\nevent: resync\ndata: {}\n\n" % self.head

    def close(self) -> None:
        """End every stream."""
        self._closed = True
        if self._tick is not None:
            self._tick.cancel()
        for client in self._clients:
            client.close()
        if self._end is not None and not self._end.done():
            self._end.set_result(None)
        self._sifters.shutdown(wait=False, cancel_futures=True)

    def _tell(self, name: str, text: bytes) -> None:
        for client in self._clients:
            client.tell(name, text)


def text_of(stored: Stored) -> bytes:
    """The record in JSON; nothing for kinds that are not sent."""
    if stored.kind not in NAMES:
        return b""
    return _encode(stored.entry) if stored.json is None else stored.json


def frame(shown: Shown) -> bytes:
    """The message of one event."""
    name = NAMES[shown.stored.kind]
    if name is None:
        return b"id: %d\ndata: %s\n\n" % (shown.stored.seq, shown.text)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (shown.stored.seq, name.encode(), shown.text)
