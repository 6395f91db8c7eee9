"""A real server process on a free port, and payloads to send to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

START = """
import sys
from pathlib import Path
from brakit_server.app import serve
from brakit_server.config import Config, ConfigError
try:
    sys.exit(serve(Config.load(environ={}, cwd=Path(sys.argv[1]), port=0, **eval(sys.argv[2]))))
except ConfigError as error:
    sys.stderr.write(f"{error}\\n")
    sys.exit(2)
"""


class Running:
    """A server process on `root`, with clients that speak plain sockets: no library stands between the test and the wire."""

    def __init__(self, root: Path, settings: dict[str, Any], *, umask: int = 0o022) -> None:
        self.root = root
        self.data = root / ".brakit"
        self.process = subprocess.Popen(
            [sys.executable, "-c", START, str(root), repr(settings)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            umask=umask,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            _, said = self.process.communicate()
            raise RuntimeError(said)
        self.url = line.removeprefix("brakit: ").strip()
        self.port = int(self.url.rsplit(":", 1)[1].partition("/")[0])

    def raw(self, data: bytes, timeout: float = 10) -> tuple[int, dict[str, str], bytes]:
        """Send bytes; status, headers (lower case) and body of the answer. The bytes must ask for the connection to be closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            received = b""
            with contextlib.suppress(ConnectionError):
                while chunk := connection.recv(65536):
                    received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        return int(lines[0].split(" ", 2)[1]), headers, body

    def call(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request. `headers` replace those of an honest client; an empty value leaves a header out."""
        sent = {
            "Host": f"127.0.0.1:{self.port}",
            "Content-Type": "application/json" if body else "",
            "Content-Length": str(len(body)),
            "Connection": "close",
            **(headers or {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items() if value)
        return self.raw(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body)

    def get(self, path: str) -> Any:
        """The JSON of `GET /__brakit/api/<path>`, which must be answered with 200."""
        status, headers, body = self.call("GET", f"/__brakit/api/{path}")
        assert status == 200, (path, status, body)
        if headers.get("transfer-encoding") == "chunked":
            raise AssertionError("a chunked list")
        return json.loads(body)

    def send(self, *events: dict[str, Any], **envelope: Any) -> int:
        """POST a payload of version 1; the status."""
        return self.call("POST", "/__brakit/api/ingest", payload(*events, **envelope))[0]

    def wait_for(self, path: str, holds: Callable[[Any], bool], seconds: float = 10) -> Any:
        """The first answer of `path` of which `holds` is true."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.get(path)
            if holds(found):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    def stop(self, how: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit code and standard error."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        _, said = self.process.communicate(timeout=15)
        return self.process.returncode, said


def payload(*events: dict[str, Any], **envelope: Any) -> bytes:
    return json.dumps({"_brakit": True, "version": 1, "sdk": "test/1", "events": list(events), **envelope}).encode()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts servers, on the test's own folder unless told otherwise, and stops them."""
    running: list[Running] = []

    def begin(root: Path = tmp_path, umask: int = 0o022, **settings: Any) -> Running:
        running.append(Running(root, settings, umask=umask))
        return running[-1]

    yield begin
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.process.communicate(timeout=15)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for the tests of a module; it must be alive, and have answered nothing with a 5xx, when they are done."""
    running = Running(tmp_path_factory.mktemp("project"), {})
    yield running
    alive = running.process.poll() is None
    code, said = running.stop()
    assert alive, said
    assert "Traceback" not in said, said
    assert code == 0


@pytest.fixture(scope="session")
def event() -> Callable[..., dict[str, Any]]:
    """Makes events of the seed's kinds with their required fields: `event("log", message="m")`."""
    required: dict[str, dict[str, Any]] = {
        "db.query": {"operation": "SELECT", "table": "users", "duration": 4.5},
        "fetch": {"url": "http://payments/charge", "method": "POST", "statusCode": 200, "duration": 12},
        "log": {"level": "info", "message": "hello"},
        "error": {"name": "ValueError", "message": "bad"},
        "auth.check": {"provider": "session"},
        "request": {"id": os.urandom(16).hex(), "method": "GET", "url": "/users?page=1", "statusCode": 200, "durationMs": 20},
        "span": {"name": "work", "duration": 3, "spanId": "00f067aa0ba902b7"},
    }

    def make(kind: str, around: dict[str, Any] | None = None, **data: Any) -> dict[str, Any]:
        fresh = {"id": os.urandom(16).hex()} if kind == "request" else {}
        return {
            "type": kind,
            "requestId": "r1",
            "timestamp": time.time() * 1000,
            **(around or {}),
            "data": {**required.get(kind, {}), **fresh, **data},
        }

    return make
