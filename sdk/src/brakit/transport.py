"""The sender: a thread that takes records out of the buffer, in small steps, and posts them in batches.

Imported on the app's thread with the first record; what is dear to import comes on the sender's own.
"""

from __future__ import annotations

from _thread import get_ident
from collections import deque
from queue import Empty

from brakit import context
from brakit.buffer import FLUSH_AT
from brakit.clocks import monotonic, sleep
from brakit.native import is_original, original, start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queue import SimpleQueue

    from brakit.client import Client
    from brakit.connection import Connection
    from brakit.discovery import Address
    from brakit.fragments import Piece
    from brakit.wire import Wire

COLLECT_S = 0.08
"""From the first record to the flush, unless 20 come before; the seed asks for 50 to 100 ms."""
SLICE = 64
"""Records encoded in one go: the interpreter lock is not given back within."""
PAUSE_S = 0.001
MAX_BATCH = 512
MAX_BATCH_BYTES = 1024 * 1024
LOOK_S = (0.1, 0.25, 0.5, 1.0)
"""Pauses between looks for a server; the last one repeats, so that one that starts is found within two seconds."""
KEEP_WHILE_ABSENT = 2000
MAX_TRIES = 20
TRY_S = 30.0
"""A batch is given up after so many tries and so long: it may be what brings the server down."""
PATH = "/__brakit/api/ingest"


class Batch:
    """Events on their way, with what was dropped before them. Kept until the server has answered."""

    __slots__ = ("body", "doubtful", "dropped", "envelope", "events", "made", "pieces", "rows", "tries")

    def __init__(self, envelope: str, pieces: list[Piece], dropped: dict[str, int]) -> None:
        self.envelope = envelope
        self.pieces = pieces
        self.events = len(pieces)
        self.dropped = dropped
        self.tries = 0
        self.made = monotonic()
        # The server may have it, though it has not said so.
        self.doubtful = False
        self.body = b""
        self.rows: bool | None = None

    @property
    def worn(self) -> bool:
        return self.tries >= MAX_TRIES and monotonic() - self.made > TRY_S

    def bytes(self, rows: bool) -> bytes:
        """The body of the POST; with `rows`, what events have in common stands in it once (docs/protocol.md)."""
        from brakit import fragments

        if rows is not self.rows:
            self.rows = rows
            events = fragments.rows(self.pieces) if rows else f'"events":[{",".join(map(fragments.text, self.pieces))}]'
            self.body = f"{self.envelope[:-1]},{events}}}".encode("utf-8", "replace")
        return self.body


class Sender:
    """Owns the thread, the connection and the batch under way. One a process: a forked child makes its own.

    Whoever ships holds `lock`: the thread, or an app's thread that flushes. `wake` takes none: a signal handler or a finalizer that
    logs may come upon it while it runs, and putting into a `SimpleQueue` is safe then.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lock = original("_thread", "allocate_lock")()
        self.signal: SimpleQueue[None] = original("queue", "SimpleQueue")()
        self.stopping = False
        self.looking = False
        # Threads that flush: the sender's own makes way for them, or steady traffic would keep the lock with it.
        self.flushing: set[int] = set()
        self.connection: Connection | None = None
        self.address: Address | None = None
        self.batch: Batch | None = None
        self.ready: deque[Piece] = deque()
        self.looks = 0
        self.drops: dict[str, int] = {}
        self.lost = 0
        self.overflow_told = 0
        self.taken = 0
        # Of those taken: sent, dropped or left out. The others are in `ready` and in the batch.
        self.settled = 0
        self.sent = 0
        self.last_problem = ""
        self.wire: Wire | None = None

    def start(self) -> None:
        """Start the thread. Raises RuntimeError when there can be no more; `flush` still works then."""
        if not is_original("_thread", "allocate_lock"):
            # The locks of imports are gevent's then: two threads that import the same would wait for each other's hub.
            self.client.attempt("transport.imports", self._import)
        start_thread(self._run, "brakit-sender")

    def wake(self) -> None:
        """Called on an app's thread when there is something to send."""
        self.signal.put(None)

    def look(self) -> None:
        """Called on an app's thread: find the server, whether or not there is something to send."""
        self.looking = True
        self.signal.put(None)

    def abandon(self) -> None:
        """In a forked child: the connection is the parent's; only our copy of its descriptor is closed."""
        if self.connection is not None:
            self.connection.close()

    def _run(self) -> None:
        # Not one turn before: it would import outside of `importing`, and a child that is forked meanwhile waits for ever.
        while not self.stopping and not self.client.attempt("transport.imports", self._import):
            sleep(LOOK_S[-1])
        while not self.stopping:
            if not self.client.attempt("transport.turn", self._turn):
                # A failure of ours: not the last turn, and not the first of a million in a row.
                sleep(COLLECT_S)
        with self.lock:
            # `stop` may have found us in the middle of a request.
            self._disconnect()

    def _turn(self) -> bool:
        """Wait until there is something to send, and send it."""
        buffer = self.client.buffer
        if not (buffer.records or self.ready or self.batch):
            buffer.awake = False
            if not buffer.records:
                self.signal.get()
            buffer.awake = True
            if len(buffer.records) < FLUSH_AT and not self.stopping:
                self._doze(COLLECT_S)
        if self.stopping:
            return True
        with self.lock:
            if self.looking:
                self.looking = False
                self.client.attempt("transport.look", self._connected, 0.0)
            arrived = self._shipped(0.0, False)
        while self.flushing and not self.stopping:
            sleep(0.005)
        if not arrived:
            self._wait_for_server()
        return True

    def _import(self) -> bool:
        with self.client.importing:
            import json  # noqa: F401
            import socket  # noqa: F401

            import brakit.connection
            import brakit.discovery
            import brakit.fragments
            import brakit.wire  # noqa: F401

            if self.client.config.url.lower().startswith("https"):
                import ssl  # noqa: F401
        return True

    def _doze(self, seconds: float) -> None:
        try:
            self.signal.get(timeout=seconds)
        except Empty:
            return

    def _shipped(self, deadline: float, flushing: bool) -> bool:
        """`ship`; a failure of ours costs the batch under way, so that it cannot come again and again."""
        try:
            arrived = self.client.attempt("transport", self.ship, deadline, flushing)
            if arrived is None:
                if self.batch is not None:
                    self._give_up(self.batch, "failed")
                self._disconnect()
        finally:
            # A failure, or Ctrl-C in a flush on the app's thread, may have come upon us with events in the hand.
            missing = self.taken - self.settled - len(self.ready) - (self.batch.events if self.batch else 0)
            if missing > 0:
                self.settled += missing
                self.drop("failed", missing)
        return bool(arrived)

    def ship(self, deadline: float, flushing: bool) -> bool:
        """Send what is there in batches; when flushing, only what is there now. False when the server cannot be reached."""
        records = self.client.buffer.records
        goal = self.taken + len(records)
        told = False
        while (
            self.batch is not None
            or self.ready
            or (records and not (flushing and self.taken >= goal))
            or (flushing and self.drops and not told)
        ):
            if deadline and monotonic() > deadline:
                return False
            if self.flushing and not flushing:
                return True
            if not self._connected(deadline):
                return False
            if self.batch is None:
                self.batch = self._collect(pause=not flushing)
                # What this very batch loses is told by one more, without events.
                told = not self.batch.events
            if not self._post(self.batch, deadline):
                return False
        return True

    def _collect(self, pause: bool) -> Batch:
        """The next batch, encoded in slices with a pause between, so that the app's threads get the interpreter."""
        import json

        from brakit.conform import tidy
        from brakit.fragments import size as size_of
        from brakit.wire import Wire

        if self.wire is None:
            self.wire = Wire(self.client)
            self.wire.root = self.client.root
        size = sum(map(size_of, self.ready))
        while len(self.ready) < MAX_BATCH and size < MAX_BATCH_BYTES:
            records = self.client.buffer.take(SLICE)
            if not records:
                break
            self.taken += len(records)
            made, failed = self.wire.pieces(records)
            self.ready += made
            self.settled += len(records) - len(made)
            size += sum(map(size_of, made))
            self.drop("encoding", failed)
            if pause:
                sleep(PAUSE_S)
        overflow = self.client.buffer.overflow.value()
        if overflow > self.overflow_told:
            self.drop("buffer_full", overflow - self.overflow_told)
            self.overflow_told = overflow
        resource = tidy(self.client.resource())
        pieces: list[Piece] = []
        size = 0
        while self.ready and len(pieces) < MAX_BATCH and (not pieces or size + size_of(self.ready[0]) <= MAX_BATCH_BYTES):
            pieces.append(self.ready.popleft())
            size += size_of(pieces[-1])
        dropped = dict(self.drops)
        envelope = {
            "_brakit": True,
            "version": 1,
            "sdk": _user_agent(),
            "batchId": context.new_request_id(),
            "resource": resource,
            **({"dropped": dropped} if dropped else {}),
        }
        batch = Batch(json.dumps(envelope), pieces, dropped)
        self.drops = {}
        return batch

    def _post(self, batch: Batch, deadline: float) -> bool:
        """Send one batch; True when it is done with, whatever the answer was."""
        from brakit.connection import Unreachable

        connection = self.connection
        assert connection is not None
        batch.tries += 1
        try:
            status, answer = connection.request("POST", PATH, batch.bytes(connection.rows), deadline)
        except Unreachable as problem:
            self.connection = None
            self.last_problem = str(problem)
            # Only our own server knows a batch again; for any other, sending twice what may have arrived is worse than losing it.
            batch.doubtful |= problem.sent
            if (problem.sent and connection.address.nonce is None) or batch.worn:
                self._give_up(batch, "unanswered")
            return False
        # What may be there already is no loss yet, whatever goes wrong with the server now.
        if (status in (503, 429) or (batch.doubtful and status >= 500)) and not batch.worn:
            self.last_problem = f"the server answered {status}"
            return False
        self.looks = 0
        self.client.buffer.limit = self.client.config.buffer
        if status == 204:
            self.sent += batch.events
            self._done_with(batch)
        elif status == 400:
            self._rejected(batch, answer)
        else:
            self._give_up(batch, "unanswered" if batch.doubtful else f"status_{status}")
        return True

    def _rejected(self, batch: Batch, answer: bytes) -> None:
        """A 400 is not sent again: the good events of the batch are stored, the others are counted."""
        import json

        self.last_problem = f"the server refused events: {answer[:300].decode('utf-8', 'replace')}"
        try:
            rejected = min(len(json.loads(answer)["rejected"]), batch.events)
        except (ValueError, KeyError, TypeError, RecursionError):
            self._give_up(batch, "rejected")
            return
        self.sent += batch.events - rejected
        self.drop("rejected", rejected)
        self._done_with(batch)

    def _give_up(self, batch: Batch, reason: str) -> None:
        self.drop(reason, batch.events)
        for name, number in batch.dropped.items():
            self.drops[name] = self.drops.get(name, 0) + number
        self._done_with(batch)

    def _done_with(self, batch: Batch) -> None:
        self.settled += batch.events
        self.batch = None

    def drop(self, reason: str, number: int) -> None:
        """Count events that are gone; the next batch tells."""
        if number:
            self.drops[reason] = self.drops.get(reason, 0) + number
            self.lost += number

    def _connected(self, deadline: float) -> bool:
        """Have a connection to a server that is ours, if there is one to be had."""
        from brakit.connection import Connection, Unreachable
        from brakit.discovery import find, is_ours

        if self.connection is not None and self.connection.usable():
            return True
        self.connection = None
        for address in find(self.client.config, self.client.folder):
            try:
                connection = Connection(address, _user_agent(), self.client.config.token, deadline)
                if not is_ours(connection, deadline):
                    self.last_problem = f"what listens on {address.url} is not a brakit server"
                    connection.close()
                    continue
                if connection.closed:
                    connection = Connection(address, _user_agent(), self.client.config.token, deadline)
                self.connection = connection
                self.address = address
                return True
            except Unreachable as problem:
                self.last_problem = str(problem)
        return False

    def _disconnect(self) -> None:
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def _wait_for_server(self) -> None:
        self.client.buffer.shrink(min(KEEP_WHILE_ABSENT, self.client.config.buffer))
        pause = LOOK_S[min(self.looks, len(LOOK_S) - 1)]
        self.looks += 1
        until = monotonic() + pause
        # New records signal all the time; they are no reason to look again sooner.
        while not self.stopping and (left := until - monotonic()) > 0:
            sleep(min(0.1, left))

    def flush(self, timeout: float) -> bool:
        """Send what is there from the calling thread; True when all of it has arrived."""
        self.flushing.add(get_ident())
        try:
            return self._flush(monotonic() + timeout)
        finally:
            self.flushing.discard(get_ident())

    def _flush(self, deadline: float) -> bool:
        lost = self.lost
        while (left := deadline - monotonic()) > 0:
            # The thread holds the lock while it posts.
            if not self.lock.acquire(timeout=left):
                return False
            try:
                arrived = self._shipped(deadline, True)
            finally:
                self.lock.release()
            if arrived:
                # Neither lost in the meantime nor lost before and still to be told.
                return self.lost == lost and not self.drops
            sleep(max(0.0, min(0.05, deadline - monotonic())))
        return False

    def stop(self, timeout: float) -> None:
        """Last words: send what is there within `timeout` seconds, then end the thread."""
        self.flush(timeout)
        self.stopping = True
        self.signal.put(None)
        if self.lock.acquire(blocking=False):
            self._disconnect()
            self.lock.release()
        elif self.connection is not None:
            self.connection.interrupt()


def _user_agent() -> str:
    from brakit import __version__

    return f"brakit-python/{__version__}"
