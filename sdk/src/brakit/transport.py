"""The sender: a thread that takes records out of the buffer, in small steps, and posts them over one kept-alive connection.

It uses bare sockets: no proxy setting, no redirect, no netrc and no instrumentation of ours can get in between.
"""

from __future__ import annotations

import json
import os
import socket
from time import monotonic, sleep

from brakit.discovery import Address, find
from brakit.wire import Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.client import Client

COLLECT_S = 0.08
"""From the first record to the flush, unless 20 come before; the seed asks for 50 to 100 ms."""
SLICE = 64
"""Records encoded in one go: the interpreter lock is not given back within."""
PAUSE_S = 0.001
MAX_BATCH = 512
MAX_BATCH_BYTES = 1024 * 1024
CONNECT_S = 1.0
ANSWER_S = 3.0
MAX_ANSWER = 64 * 1024
LOOK_S = (0.1, 0.25, 0.5, 1.0)
"""Pauses between looks for a server; the last one repeats, so that one that starts is found within two seconds."""
KEEP_WHILE_ABSENT = 2000
MAX_TRIES = 20
PATH = "/__brakit/api/ingest"


class Unreachable(Exception):
    """No answer from the server. `sent` tells whether it may have got the whole request all the same."""

    def __init__(self, text: str, sent: bool = False) -> None:
        super().__init__(text)
        self.sent = sent


class Connection:
    """One kept-alive HTTP/1.1 connection to one server."""

    def __init__(self, address: Address, token: str, deadline: float) -> None:
        self.address = address
        self.token = token
        self.buffer = b""
        try:
            self.socket = socket.create_connection((address.host, address.port), timeout=_left(deadline, CONNECT_S))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            raise Unreachable(str(error)) from None

    def close(self) -> None:
        self.socket.close()

    def request(self, method: str, path: str, body: bytes, deadline: float) -> tuple[int, bytes]:
        """Status and body of the answer (at most 64 KB of it). Raises `Unreachable`; the connection is of no use then."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.address.host}:{self.address.port}\r\nUser-Agent: {USER_AGENT}\r\n"
        if body or method == "POST":
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if self.token:
            head += f"Authorization: Bearer {self.token}\r\n"
        sent = False
        try:
            self.socket.settimeout(_left(deadline, ANSWER_S))
            self.socket.sendall(head.encode("latin-1") + b"\r\n" + body)
            sent = True
            return self._answer(deadline)
        except (OSError, ValueError) as error:
            self.close()
            raise Unreachable(str(error), sent) from None

    def _answer(self, deadline: float) -> tuple[int, bytes]:
        head, body = self._until(b"\r\n\r\n", deadline)
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if status == 204:
            self.buffer = body
            return status, b""
        length = headers.get("content-length", "")
        if not length.isdigit() or int(length) > MAX_ANSWER:
            # Chunked or endless: what is there is enough to judge by, and the connection cannot be used again.
            self.close()
            return status, body[:MAX_ANSWER]
        while len(body) < int(length):
            body += self._receive(deadline)
        self.buffer = body[int(length) :]
        return status, body[: int(length)]

    def _until(self, mark: bytes, deadline: float) -> tuple[bytes, bytes]:
        data, self.buffer = self.buffer, b""
        while mark not in data:
            if len(data) > MAX_ANSWER:
                raise ValueError("the answer has no end of headers")
            data += self._receive(deadline)
        head, _, rest = data.partition(mark)
        return head, rest

    def _receive(self, deadline: float) -> bytes:
        self.socket.settimeout(_left(deadline, ANSWER_S))
        data = self.socket.recv(65536)
        if not data:
            raise OSError("the server closed the connection")
        return data


class Batch:
    """Encoded events on their way, with what was dropped before them. Kept until the server has answered."""

    __slots__ = ("body", "dropped", "events", "tries")

    def __init__(self, body: bytes, events: int, dropped: dict[str, int]) -> None:
        self.body = body
        self.events = events
        self.dropped = dropped
        self.tries = 0


class Sender:
    """Owns the thread, the connection and the batch under way. One a process."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.reset()

    def reset(self) -> None:
        """Forget thread, connection and batch: at first, and in a child process, where they are the parent's."""
        self.thread: Any = None
        self.event: Any = None
        self.lock: Any = None
        self.stopping = False
        self.connection: Connection | None = None
        self.batch: Batch | None = None
        self.looks = 0
        self.address: Address | None = None
        self.drops: dict[str, int] = {}
        self.overflow_told = 0
        self.wire: Wire | None = None
        self.sent = 0
        self.last_problem = ""

    def wake(self) -> None:
        """Called on an app's thread when there is something to send: starts the thread the first time."""
        event = self.event
        if event is not None:
            event.set()
            return
        from threading import Thread

        self._make_lock()
        self.event.set()
        self.thread = Thread(target=self._run, name="brakit-sender", daemon=True)
        # Fails when the interpreter is shutting down; the last words are sent from the main thread then.
        self.client.attempt("transport.thread", self.thread.start)

    def _make_lock(self) -> None:
        # Imported here: only now are they needed, and gevent may have put its own in their place in the meantime.
        from threading import Event, Lock

        self.lock = Lock()
        self.event = Event()

    def _run(self) -> None:
        buffer = self.client.buffer
        while not self.stopping and self.client.buffer is buffer:
            if not buffer.records and self.batch is None:
                buffer.awake = False
                if not buffer.records:
                    self.event.wait()
                buffer.awake = True
                self.event.clear()
                if len(buffer.records) < 20:
                    self.event.wait(COLLECT_S)
            self.event.clear()
            if self.stopping:
                return
            with self.lock:
                arrived = self.client.attempt("transport", self.ship)
            if not arrived:
                self._wait_for_server()

    def ship(self, deadline: float = 0.0, flushing: bool = False) -> bool:
        """Send what is there, in batches; the caller holds the lock. False when the server cannot be reached."""
        while self.batch is not None or self.client.buffer.records or (flushing and self.drops):
            if not self._connected(deadline):
                return False
            if self.batch is None:
                self.batch = self._collect(pause=not flushing)
            if not self._post(self.batch, deadline):
                return False
            if deadline and monotonic() > deadline:
                return not self.client.buffer.records
        return True

    def _collect(self, pause: bool) -> Batch:
        """The next batch, encoded in slices with a pause between, so that the app's threads get the interpreter."""
        if self.wire is None:
            self.wire = Wire(self.client)
            self.wire.root = self.client.root
        parts: list[str] = []
        size = 0
        while len(parts) < MAX_BATCH and size < MAX_BATCH_BYTES:
            records = self.client.buffer.take(SLICE)
            if not records:
                break
            encoded, failed = self.wire.encode(records)
            parts += encoded
            size += sum(map(len, encoded))
            if failed:
                self.drop("encoding", failed)
            if pause:
                sleep(PAUSE_S)
        overflow = self.client.buffer.overflow.value()
        if overflow > self.overflow_told:
            self.drop("buffer_full", overflow - self.overflow_told)
            self.overflow_told = overflow
        dropped, self.drops = self.drops, {}
        envelope = {
            "_brakit": True,
            "version": 1,
            "sdk": USER_AGENT,
            "batchId": os.urandom(16).hex(),
            "resource": self.client.resource(),
            **({"dropped": dropped} if dropped else {}),
        }
        body = json.dumps(envelope)[:-1] + ', "events": [' + ",".join(parts) + "]}"
        return Batch(body.encode("ascii"), len(parts), dropped)

    def _post(self, batch: Batch, deadline: float) -> bool:
        """Send one batch; True when it is done with, whatever the answer was."""
        connection = self.connection
        assert connection is not None
        batch.tries += 1
        try:
            status, answer = connection.request("POST", PATH, batch.body, deadline)
        except Unreachable as problem:
            self.connection = None
            self.last_problem = str(problem)
            # Only our own server knows a batch again; for any other, sending twice what may have arrived is worse than losing it.
            if (problem.sent and connection.address.nonce is None) or batch.tries >= MAX_TRIES:
                self._give_up(batch, "unanswered")
            return False
        if status == 204:
            self.sent += batch.events
            self.batch = None
        elif status == 400:
            self._rejected(batch, answer)
        elif status in (503, 429) and batch.tries < MAX_TRIES:
            self.last_problem = f"the server answered {status}"
            return False
        else:
            self._give_up(batch, f"status_{status}")
        return True

    def _rejected(self, batch: Batch, answer: bytes) -> None:
        """A 400 is not sent again: the good events of the batch are stored, the others are counted."""
        try:
            rejected = len(json.loads(answer)["rejected"])
        except (ValueError, KeyError, TypeError):
            rejected = batch.events
        self.sent += batch.events - rejected
        self.last_problem = f"the server refused {rejected} events: {answer[:300].decode('utf-8', 'replace')}"
        self.drop("rejected", rejected)
        self.batch = None

    def _give_up(self, batch: Batch, reason: str) -> None:
        self.drop(reason, batch.events)
        for name, number in batch.dropped.items():
            self.drop(name, number)
        self.batch = None

    def drop(self, reason: str, number: int) -> None:
        """Count events that are gone; the next batch tells."""
        self.drops[reason] = self.drops.get(reason, 0) + number

    def _connected(self, deadline: float) -> bool:
        """Have a connection to a server that is ours, if there is one to be had."""
        if self.connection is not None:
            return True
        for address in find(self.client.config, self.client.folder):
            try:
                connection = Connection(address, self.client.config.token, deadline)
                if self._is_ours(connection, deadline):
                    self.connection = connection
                    self.address = address
                    self.client.buffer.limit = self.client.config.buffer
                    self.looks = 0
                    return True
                self.last_problem = f"what listens on {address.host}:{address.port} is not a brakit server"
                connection.close()
            except Unreachable as problem:
                self.last_problem = str(problem)
        return False

    def _is_ours(self, connection: Connection, deadline: float) -> bool:
        """A named server is believed; one with a nonce has to prove that it knows it; any other has to answer like a dashboard."""
        address = connection.address
        if address.explicit:
            return True
        if address.nonce is not None:
            challenge = os.urandom(16).hex()
            status, answer = connection.request("GET", f"/__brakit/api/hello?challenge={challenge}", b"", deadline)
            return status == 200 and address.proves(challenge, answer)
        status, answer = connection.request("GET", "/__brakit/api/requests?limit=1", b"", deadline)
        if status != 200 or b'"requests"' not in answer or b'"total"' not in answer:
            return False
        # The answer may have been cut, and the connection with it.
        connection.close()
        self.connection = None
        fresh = Connection(address, self.client.config.token, deadline)
        connection.socket, connection.buffer = fresh.socket, b""
        return True

    def _wait_for_server(self) -> None:
        self.client.buffer.limit = min(KEEP_WHILE_ABSENT, self.client.config.buffer)
        pause = LOOK_S[min(self.looks, len(LOOK_S) - 1)]
        self.looks += 1
        until = monotonic() + pause
        # New records set the event all the time; they are no reason to look again sooner.
        while not self.stopping and monotonic() < until:
            sleep(min(0.1, pause))

    def flush(self, timeout: float) -> bool:
        """Send what is there from the calling thread; True when all has arrived."""
        if self.lock is None:
            if not self.client.buffer.records:
                return True
            self._make_lock()
        deadline = monotonic() + timeout
        while (left := deadline - monotonic()) > 0:
            # The thread holds the lock while it posts.
            if not self.lock.acquire(timeout=left):
                return False
            try:
                arrived = self.client.attempt("transport", self.ship, deadline, True)
            finally:
                self.lock.release()
            if arrived:
                return True
            sleep(max(0.0, min(0.05, deadline - monotonic())))
        return False

    def stop(self, timeout: float) -> None:
        """Last words: send what is there within `timeout` seconds, then end the thread."""
        self.flush(timeout)
        self.stopping = True
        if self.event is not None:
            self.event.set()
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def _left(deadline: float, most: float) -> float:
    """Seconds for one step: `most`, or what is left until the deadline (0 is none)."""
    return max(0.001, min(most, deadline - monotonic())) if deadline else most


def _user_agent() -> str:
    from brakit import __version__

    return f"brakit-python/{__version__}"


USER_AGENT = _user_agent()
