"""The sender: a thread that takes records out of the buffer, in small steps, and posts them in batches.

Imported on the app's thread with the first record; what is dear to import comes on the sender's own.
"""

from __future__ import annotations

from _thread import get_ident
from collections import deque
from queue import Empty

from brakit import context
from brakit.buffer import MAX_BYTES, SLICE
from brakit.clocks import monotonic, sleep
from brakit.native import is_original, original, start_thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queue import SimpleQueue

    from brakit.client import Client
    from brakit.connection import Connection
    from brakit.discovery import Address
    from brakit.fragments import Piece
    from brakit.record import Record
    from brakit.wire import Wire

COLLECT_S = 0.08
"""From the first record to the batch that it goes out in; the seed asks for 50 to 100 ms."""
STEADY_S = 0.18
"""The same while batches are large: a post is worth more then, and still sooner on the screen than an eye notices."""
STEADY = 64
"""Events from which a batch is large."""
PAUSE_S = 0.001
"""Between two slices: the interpreter lock is not given back within one."""
MAX_BATCH = 512
MAX_WHOLE = 64
"""The same for a server that has not said that it reads rows: whole events take several times as long to make."""
MAX_BATCH_BYTES = 1024 * 1024
MAX_READY_BYTES = 4 * 1024 * 1024
"""Bytes of events that are encoded and wait for the server; what they share is counted for each, so that it is half of that."""
PIECE = 300
"""Bytes of an event in memory besides its text."""
LOOK_S = (0.1, 0.25, 0.5, 1.0)
"""Pauses between looks for a server; the last one repeats, so that one that starts is found within two seconds."""
KEEP_WHILE_ABSENT = 2000
BYTES_WHILE_ABSENT = 2 * 1024 * 1024
HOPELESS_S = 1.0
"""A server that has not answered for so long is not waited for when the process ends."""
LAST_WORDS_S = 0.1
"""What it gets instead."""
MAX_TRIES = 20
TRY_S = 30.0
"""A batch is given up after so many tries and so long: it may be what brings the server down."""
PATH = "/__brakit/api/ingest"


class Batch:
    """Events on their way, with what was dropped before them. Kept until the server has answered."""

    __slots__ = ("body", "doubtful", "dropped", "envelope", "events", "id", "made", "pieces", "rows", "tries")

    def __init__(self, id: str, envelope: dict[str, object], pieces: list[Piece], dropped: dict[str, int]) -> None:
        self.id = id
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
        import json

        from brakit import fragments

        if rows is not self.rows:
            self.rows = rows
            if rows:
                events = fragments.rows(self.pieces)
            else:
                whole = [fragments.text(piece, f"{self.id[:16]}{number:08x}") for number, piece in enumerate(self.pieces)]
                events = f'"events":[{",".join(whole)}]'
            envelope = json.dumps({**self.envelope, "batchId": self.id})
            self.body = f"{envelope[:-1]},{events}}}".encode("utf-8", "replace")
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
        self.ready_bytes = 0
        # Since when the answer to a batch has been waited for; 0 while there is none to wait for.
        self.asked = 0.0
        self.steady = False
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
        if self.batch is None:
            self._gather()
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
            import brakit.revision
            import brakit.wire  # noqa: F401

            if self.client.config.url.lower().startswith("https"):
                import ssl  # noqa: F401
        return True

    def _gather(self) -> None:
        """Wait until a batch is worth a post. What comes meanwhile is encoded as soon as it makes a slice: a record takes several times
        the memory, and those that live for long are a burden to the collector."""
        records = self.client.buffer.records
        until = monotonic() + (STEADY_S if self.steady else COLLECT_S)
        while not self.stopping and len(self.ready) + len(records) < MAX_BATCH and (left := until - monotonic()) > 0:
            if len(records) >= SLICE and self.connection is not None:
                with self.lock:
                    self.client.attempt("transport.encode", self._encode)
                sleep(PAUSE_S)
            else:
                self._doze(left)

    def _doze(self, seconds: float) -> None:
        try:
            self.signal.get(timeout=seconds)
        except Empty:
            return

    def _idle(self) -> None:
        self.client.attempt("transport.keep_up", self._keep_up)

    def _keep_up(self) -> None:
        """While an answer is waited for: encode what comes, and let go of the oldest. Once a server has left a batch unanswered, what
        comes stays as it is until one answers: most of it will be dropped."""
        for _ in range(MAX_BATCH // SLICE):
            if len(self.client.buffer.records) < SLICE or self.flushing or self.looks:
                break
            self._encode()
            sleep(PAUSE_S)
        limit = self.client.config.buffer
        gone = 0
        while self.ready_bytes > MAX_READY_BYTES or len(self.ready) > limit:
            self._pop()
            gone += 1
        self.settled += gone
        self.drop("buffer_full", gone)

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
        """Send what is there now, and what has come meanwhile if it fills a batch. False when the server cannot be reached."""
        records = self.client.buffer.records
        goal = self.taken + len(records)
        told = False
        while (
            self.batch is not None
            or ((self.ready or records) and self.taken - len(self.ready) < goal)
            or (len(self.ready) + len(records) >= MAX_BATCH and not flushing)
            or (self.drops and flushing and not told)
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
        from brakit.conform import tidy

        while len(self.ready) < MAX_BATCH and self.ready_bytes < MAX_BATCH_BYTES and self._encode():
            if pause:
                sleep(PAUSE_S)
        overflow = self.client.buffer.overflow.value()
        if overflow > self.overflow_told:
            self.drop("buffer_full", overflow - self.overflow_told)
            self.overflow_told = overflow
        resource = tidy(self.client.resource())
        pieces: list[Piece] = []
        size = 0
        assert self.connection is not None
        most = MAX_BATCH if self.connection.rows else MAX_WHOLE
        while self.ready and len(pieces) < most and (not pieces or size + self.ready[0][4] <= MAX_BATCH_BYTES):
            pieces.append(self._pop())
            size += pieces[-1][4]
        self.steady = len(pieces) >= STEADY
        dropped = dict(self.drops)
        envelope: dict[str, object] = {
            "_brakit": True,
            "version": 1,
            "sdk": _user_agent(),
            "resource": resource,
            **({"dropped": dropped} if dropped else {}),
        }
        batch = Batch(context.new_request_id(), envelope, pieces, dropped)
        self.drops = {}
        return batch

    def _encode(self) -> bool:
        """Encode a slice of what the buffer holds; false when it holds nothing."""
        if self.wire is None:
            from brakit.wire import Wire

            self.wire = Wire(self.client)
            self.wire.root = self.client.root
        records: list[Record] = []
        try:
            self.client.buffer.take(SLICE, records)
        finally:
            self.taken += len(records)
        made, failed = self.wire.pieces(records)
        self.ready += made
        self.settled += len(records) - len(made)
        self.ready_bytes += sum([piece[4] + PIECE for piece in made])
        self.drop("encoding", failed)
        return bool(records)

    def _pop(self) -> Piece:
        piece = self.ready.popleft()
        self.ready_bytes = self.ready_bytes - piece[4] - PIECE if self.ready else 0
        return piece

    def _post(self, batch: Batch, deadline: float) -> bool:
        """Send one batch; True when it is done with, whatever the answer was."""
        from brakit.connection import Unreachable

        connection = self.connection
        assert connection is not None
        batch.tries += 1
        self.asked = self.asked or monotonic()
        try:
            status, answer = connection.request("POST", PATH, batch.bytes(connection.rows), deadline, self._idle)
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
        self.asked = 0.0
        self.client.buffer.bound(self.client.config.buffer, MAX_BYTES)
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
        self.client.buffer.bound(min(KEEP_WHILE_ABSENT, self.client.config.buffer), BYTES_WHILE_ABSENT)
        pause = LOOK_S[min(self.looks, len(LOOK_S) - 1)]
        self.looks += 1
        until = monotonic() + pause
        # New records signal all the time; they are no reason to look again sooner.
        while not self.stopping and (left := until - monotonic()) > 0:
            sleep(min(0.1, left))

    def flush(self, timeout: float, last: bool = False) -> bool:
        """Send what is there from the calling thread; True when all of it has arrived. With `last`, a server that cannot be reached is
        tried twice and not waited for."""
        self.flushing.add(get_ident())
        try:
            return self._flush(monotonic() + timeout, last)
        finally:
            self.flushing.discard(get_ident())

    def _flush(self, deadline: float, last: bool) -> bool:
        lost = self.lost
        unreachable = 0
        while (left := deadline - monotonic()) > 0:
            # The thread holds the lock while it posts.
            if not self.lock.acquire(timeout=left):
                return False
            try:
                arrived = self._shipped(deadline, True)
                unreachable += self.connection is None
            finally:
                self.lock.release()
            if arrived:
                # Neither lost in the meantime nor lost before and still to be told.
                return self.lost == lost and not self.drops
            if last and unreachable > 1:
                return False
            sleep(max(0.0, min(0.05, deadline - monotonic())))
        return False

    def stop(self, timeout: float) -> None:
        """Last words: send what is there within `timeout` seconds, then end the thread."""
        if self.asked and monotonic() - self.asked > HOPELESS_S:
            timeout = min(timeout, LAST_WORDS_S)
        self.flush(timeout, last=True)
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
