"""One connection: answers of every form, deadlines that hold, ends that are noticed."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING

import pytest
import trustme

from brakit.connection import MAX_ANSWER, Connection, Unreachable
from brakit.discovery import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Speak = Callable[[socket.socket], None]


@pytest.fixture
def listen() -> Iterator[Callable[[Speak], Address]]:
    """`listen(speak)`: a server that hands its first connection to `speak`."""
    sockets: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def start(speak: Speak) -> Address:
        server = socket.create_server(("127.0.0.1", 0))
        sockets.append(server)

        def run() -> None:
            try:
                accepted, _ = server.accept()
            except OSError:
                return
            sockets.append(accepted)
            try:
                speak(accepted)
            except OSError:
                return

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return Address("127.0.0.1", server.getsockname()[1])

    yield start
    for one in sockets:
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()
    for thread in threads:
        thread.join(5)


def answering(*parts: bytes, pause: float = 0.0, end: bool = False) -> Speak:
    def speak(connection: socket.socket) -> None:
        connection.recv(65536)
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)
        if end:
            connection.shutdown(socket.SHUT_RDWR)

    return speak


def ask(address: Address, deadline: float = 0.0) -> tuple[int, bytes, bool]:
    connection = Connection(address, "test", "", 0.0)
    try:
        status, body = connection.request("POST", "/", b"{}", deadline)
        return status, body, connection.closed
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"", False)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", (200, b"hello", False)),
        (b"HTTP/1.1 200 OK\r\ncontent-length:5\r\nConnection: Close\r\n\r\nhello", (200, b"hello", True)),
        (b"HTTP/1.0 204 No Content\r\n\r\n", (204, b"", True)),
        (b"HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", (400, b"2\r\n{}\r\n0\r\n\r\n", True)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx", (200, b"x", True)),
    ],
)
def test_answers(listen: Callable[[Speak], Address], answer: bytes, expected: tuple[int, bytes, bool]) -> None:
    assert ask(listen(answering(answer))) == expected


def test_an_answer_in_pieces(listen: Callable[[Speak], Address]) -> None:
    pieces = [bytes([byte]) for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]
    assert ask(listen(answering(*pieces)))[:2] == (200, b"ok")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"no http\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n",
        b"\xff" * 100,
    ],
)
def test_nonsense_is_no_answer(listen: Callable[[Speak], Address], answer: bytes) -> None:
    with pytest.raises(Unreachable) as caught:
        ask(listen(answering(answer, end=True)))
    assert caught.value.sent


def test_headers_without_end_are_not_read_for_ever(listen: Callable[[Speak], Address]) -> None:
    with pytest.raises(Unreachable, match="no end of headers"):
        ask(listen(answering(b"HTTP/1.1 200 OK\r\n" + b"x" * (2 * MAX_ANSWER))))


@pytest.mark.parametrize("pause", [0.05, 60])
def test_a_deadline_holds_against_silence_and_against_a_trickle(listen: Callable[[Speak], Address], pause: float) -> None:
    stop = threading.Event()

    def speak(connection: socket.socket) -> None:
        while not stop.wait(pause):
            connection.sendall(b"H")

    start = time.monotonic()
    with pytest.raises(Unreachable):
        ask(listen(speak), deadline=start + 0.3)
    stop.set()
    assert time.monotonic() - start < 1


def test_a_waiting_request_is_ended_from_another_thread(listen: Callable[[Speak], Address]) -> None:
    def silent(connection: socket.socket) -> None:
        connection.recv(65536)

    connection = Connection(listen(silent), "test", "", 0.0)
    threading.Timer(0.1, connection.interrupt).start()
    start = time.monotonic()
    with pytest.raises(Unreachable):
        connection.request("POST", "/", b"{}", 0.0)
    assert time.monotonic() - start < 2
    assert connection.closed


def test_an_end_while_idle_is_noticed(listen: Callable[[Speak], Address]) -> None:
    told = threading.Event()

    def speak(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        told.wait(5)
        connection.shutdown(socket.SHUT_RDWR)

    connection = Connection(listen(speak), "test", "", 0.0)
    connection.request("POST", "/", b"{}", 0.0)
    assert connection.usable()
    told.set()
    deadline = time.monotonic() + 5
    while connection.usable() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert connection.closed


def test_nobody_there() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable) as caught:
            Connection(Address("127.0.0.1", probe.getsockname()[1]), "test", "", 0.0)
    assert not caught.value.sent


@pytest.mark.parametrize("host", ["no such host", "." * 300, "host\u0131\x00"])
def test_a_host_that_is_none(host: str) -> None:
    with pytest.raises(Unreachable):
        Connection(Address(host, 1), "test", "", time.monotonic() + 1)


@pytest.fixture(params=[True, False], ids=["", "ssl replaced"])
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> trustme.CA:
    """Signs certificates that this process trusts; with the standard library's sockets, and as it is done beside gevent's."""
    made = trustme.CA()
    monkeypatch.setattr("brakit.connection.is_original", lambda module, name: request.param or module != "ssl")
    made.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return made


def speaking_tls(authority: trustme.CA, speak: Speak, name: str = "127.0.0.1") -> Speak:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    def run(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as encrypted:
            speak(encrypted)

    return run


def secure(address: Address, path: str = "") -> Address:
    return Address(address.host, address.port, explicit=True, secure=True, path=path)


def test_a_server_behind_tls(listen: Callable[[Speak], Address], authority: trustme.CA) -> None:
    heard: list[bytes] = []
    told = threading.Event()

    def speak(connection: socket.socket) -> None:
        for _ in range(2):
            heard.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        told.wait(5)

    connection = Connection(secure(listen(speaking_tls(authority, speak)), "/team"), "test", "t0ken", 0.0)
    for _ in range(2):
        assert connection.request("POST", "/x", b"{}", 0.0) == (204, b"")
        assert connection.usable()
    assert heard[0].startswith(b"POST /team/x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Bearer t0ken" in heard[0]
    told.set()
    deadline = time.monotonic() + 5
    while connection.usable() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert connection.closed


def test_a_certificate_of_nobody_we_trust_or_for_another_name(listen: Callable[[Speak], Address], authority: trustme.CA) -> None:
    for signer, name in ((trustme.CA(), "127.0.0.1"), (authority, "elsewhere.test")):
        heard: list[bytes] = []
        address = secure(listen(speaking_tls(signer, lambda connection: heard.append(connection.recv(100)), name)))  # noqa: B023
        with pytest.raises(Unreachable, match=r"(?i)certificate|mismatch"):
            Connection(address, "test", "t0ken", 0.0)
        assert heard == []


def test_tls_where_nobody_speaks_it_ends_in_time(listen: Callable[[Speak], Address]) -> None:
    start = time.monotonic()
    with pytest.raises(Unreachable):
        Connection(secure(listen(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"))), "test", "", 0.0)
    with pytest.raises(Unreachable):
        Connection(secure(listen(lambda _: time.sleep(2))), "test", "", 0.0)
    assert time.monotonic() - start < 4
