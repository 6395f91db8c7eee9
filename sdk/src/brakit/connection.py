"""One kept-alive HTTP/1.1 connection to one server, over a bare socket.

No proxy setting, no redirect, no netrc and no instrumentation of ours can get in between.
"""

from __future__ import annotations

import socket

from brakit.clocks import monotonic
from brakit.native import is_original, original

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from brakit.discovery import Address

CONNECT_S = 1.0
ANSWER_S = 3.0
"""From the first byte of a request to the last byte of its answer."""
IDLE_S = 0.02
"""How long an answer is waited for without doing anything else."""
MAX_ANSWER = 64 * 1024


class Unreachable(Exception):
    """No answer from the server. `sent` tells whether it may have got the whole request all the same."""

    def __init__(self, text: str, sent: bool = False) -> None:
        super().__init__(text)
        self.sent = sent


class Connection:
    """Open from the start; `closed` when it is of no more use. A `deadline` is a `monotonic` time, 0 for none."""

    def __init__(self, address: Address, user_agent: str, token: str, deadline: float) -> None:
        """Raises `Unreachable`."""
        self.address = address
        self.closed = False
        # Whether the server has said that it reads events in rows.
        self.rows = False
        self.rest = b""
        self.idle: Callable[[], None] | None = None
        host = f"[{address.host}]" if ":" in address.host else address.host
        self.head = f"Host: {host}:{address.port}\r\nUser-Agent: {user_agent}\r\n"
        if token:
            self.head += f"Authorization: Bearer {token}\r\n"
        try:
            # As bytes: for text, Python would import the encoding of international names first.
            target = address.host.encode("ascii") if address.host.isascii() else address.host
            self.socket = _open(target, address.port, _left(deadline, CONNECT_S))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if address.secure:
                self.socket = _encrypted(self.socket, address.host)
        except (OSError, ValueError) as error:
            raise Unreachable(str(error)) from None

    def close(self) -> None:
        self.closed = True
        self.socket.close()

    def interrupt(self) -> None:
        """End a request that another thread waits for. Closing would free the descriptor under its feet."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def usable(self) -> bool:
        """False when the server has ended the connection since: what is sent into it then would be lost without a word."""
        if self.closed:
            return False
        try:
            self.socket.setblocking(False)
            # TLS has no peeking, and nothing that comes unasked is data.
            self.socket.recv(1, 0 if self.address.secure else socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError as error:
            if type(error).__name__ == "SSLWantReadError":
                return True
        self.close()
        return False

    def request(
        self, method: str, path: str, body: bytes, deadline: float, idle: Callable[[], None] | None = None
    ) -> tuple[int, bytes]:
        """Status and body of the answer (at most 64 KB of it). `idle` is called again and again while the answer is waited for.

        Raises `Unreachable`; the connection is of no use then.
        """
        head = f"{method} {self.address.path}{path} HTTP/1.1\r\n{self.head}"
        if method == "POST":
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        sent = False
        deadline = min(deadline or float("inf"), monotonic() + ANSWER_S)
        try:
            self.socket.settimeout(_left(deadline, ANSWER_S))
            self.socket.sendall(head.encode("latin-1") + b"\r\n" + body)
            sent = True
            self.idle = idle
            return self._answer(deadline)
        except (OSError, ValueError, IndexError) as error:
            self.close()
            raise Unreachable(str(error), sent) from None

    def _answer(self, deadline: float) -> tuple[int, bytes]:
        head, body = self._head(deadline)
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "rows" in headers.get("brakit-accepts", ""):
            self.rows = True
        length = headers.get("content-length", "0" if status == 204 else "")
        if status == 204:
            length = "0"
        if not length.isdigit() or int(length) > MAX_ANSWER:
            # Chunked or endless: what is there is enough to judge by, and the connection cannot be used again.
            self.close()
            return status, body[:MAX_ANSWER]
        while len(body) < int(length):
            body += self._receive(deadline)
        self.rest = body[int(length) :]
        if first.startswith("HTTP/1.0") or "close" in headers.get("connection", "").lower():
            self.close()
        return status, body[: int(length)]

    def _head(self, deadline: float) -> tuple[bytes, bytes]:
        data, self.rest = self.rest, b""
        while b"\r\n\r\n" not in data:
            if len(data) > MAX_ANSWER:
                raise ValueError("the answer has no end of headers")
            data += self._receive(deadline)
        head, _, rest = data.partition(b"\r\n\r\n")
        return head, rest

    def _receive(self, deadline: float) -> bytes:
        while True:
            if monotonic() > deadline:
                raise OSError("the answer takes too long")
            self.socket.settimeout(_left(deadline, ANSWER_S if self.idle is None else IDLE_S))
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                if self.idle is not None:
                    self.idle()
                continue
            if not data:
                raise OSError("the server closed the connection")
            return data


def _open(host: str | bytes, port: int, timeout: float) -> socket.socket:
    if is_original("socket", "socket"):
        return socket.create_connection((host, port), timeout=timeout)  # type: ignore[arg-type]
    # What gevent has left of `create_connection` would make a socket of gevent's.
    family, kind, protocol, _, address = original("socket", "getaddrinfo")(host, port, 0, socket.SOCK_STREAM)[0]
    made: socket.socket = original("socket", "socket")(family, kind, protocol)
    try:
        made.settimeout(timeout)
        made.connect(address)
    except BaseException:
        made.close()
        raise
    return made


def _encrypted(connection: socket.socket, host: str) -> socket.socket:
    """TLS with the certificates that this machine trusts. Raises OSError where the server's is none of them."""
    import ssl

    try:
        if is_original("ssl", "SSLContext"):
            return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
        return Encrypted(connection, host)  # type: ignore[return-value]
    except BaseException:
        connection.close()
        raise


class Encrypted:
    """TLS over a real socket where gevent has replaced `ssl`: what is left of the standard library's own cannot wrap one."""

    def __init__(self, connection: socket.socket, host: str) -> None:
        import ssl

        trust = original("ssl", "SSLContext")(ssl.PROTOCOL_TLS_CLIENT)
        trust.load_default_certs()
        self.connection = connection
        self.coming, self.going = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = trust.wrap_bio(self.coming, self.going, server_hostname=host)
        self.wants = ssl.SSLWantReadError
        self.step(self.object.do_handshake)
        self.settimeout, self.setblocking = connection.settimeout, connection.setblocking
        self.shutdown, self.close = connection.shutdown, connection.close

    def step(self, do: Callable[..., Any], *args: object) -> Any:
        """One operation, with what has to go over the wire for it."""
        while True:
            try:
                return do(*args)
            except self.wants:
                self.push()
                data = self.connection.recv(65536)
                if data:
                    self.coming.write(data)
                else:
                    self.coming.write_eof()
            finally:
                self.push()

    def push(self) -> None:
        data = self.going.read()
        if data:
            self.connection.sendall(data)

    def sendall(self, data: bytes) -> None:
        sent = 0
        while sent < len(data):
            sent += self.step(self.object.write, data[sent:])

    def recv(self, size: int, _flags: int = 0) -> bytes:
        received: bytes = self.step(self.object.read, size)
        return received


def _left(deadline: float, most: float) -> float:
    """Seconds for one step: `most`, or what is left until the deadline."""
    return max(0.001, min(most, deadline - monotonic())) if deadline else most
