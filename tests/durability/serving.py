"""A real server process that is killed, started again and asked, and batches to send to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

INGEST = "/__brakit/api/ingest"
QUERIES, LOGS = 12, 6
"""Events of a batch besides its request."""


class Server:
    """`brakit serve` on a data folder and a free port. Raises `RuntimeError` with what it said where it does not start.

    `before` is what the command stands behind (`unshare -m`, `setpriv ...`), `limit` runs in the child before the command.
    """

    def __init__(
        self,
        data: Path,
        *options: str,
        variables: Mapping[str, str] | None = None,
        before: tuple[str, ...] = (),
        limit: Callable[[], None] | None = None,
        umask: int = -1,
    ) -> None:
        self.data = data
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BRAKIT_", "PYTEST_"))}
        command = [*before, sys.executable, "-m", "brakit_server.cli", "serve", "--port", "0", "--dir", str(data), *options]
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**inherited, **(variables or {})},
            preexec_fn=limit,
            umask=umask,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.started_s = time.perf_counter() - begun
        """Wall time until it listened."""
        if not line:
            _, said = self.process.communicate()
            raise RuntimeError(said)
        self.port = int(line.rsplit(":", 1)[1].partition("/")[0])

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more when this returns."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> tuple[int, str]:
        """Exit code and standard error, after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        _, said = self.process.communicate(timeout=30)
        return self.process.returncode, said

    def end(self) -> None:
        """Whatever state it is in."""
        if self.process.poll() is None:
            self.process.kill()
        with contextlib.suppress(ValueError):
            self.process.communicate(timeout=30)

    def call(
        self, method: str, path: str, body: bytes | None = None, timeout: float = 30
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request on a connection of its own: status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body is not None else {})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()  # type: ignore[return-value]
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The JSON of `GET /__brakit/api/<path>`, which must be answered with 200."""
        status, _, body = self.call("GET", f"/__brakit/api/{path}")
        assert status == 200, (path, status, body)
        return json.loads(body)

    def post(self, body: bytes) -> int:
        """Status of the answer to a payload."""
        return self.call("POST", INGEST, body)[0]

    def all(self, kind: str, query: str = "") -> list[dict[str, Any]]:
        """Every entry of a list, page by page, newest first."""
        found: list[dict[str, Any]] = []
        before = ""
        while True:
            page = self.get(f"{kind}?{query}{before}")
            found += page["requests" if kind == "requests" else "entries"]
            if not page.get("next"):
                return found
            before = f"&before={page['next']}"


def batch(name: str, service: str = "shop") -> bytes:
    """A batch of 19 events whose id and request are called `name`."""
    now = time.time() * 1000
    around = {"requestId": name, "timestamp": now}
    query = {"operation": "SELECT", "table": "users", "duration": 1.5}
    events: list[dict[str, Any]] = [
        *(
            {"type": "db.query", **around, "data": {**query, "sql": f"SELECT {n} FROM users", "shapeHash": f"{n:016x}"}}
            for n in range(QUERIES)
        ),
        *({"type": "log", **around, "data": {"level": "info", "message": f"{name} said {n}"}} for n in range(LOGS)),
    ]
    request = {"id": name, "method": "GET", "url": f"/users/{name}", "route": "/users/{id}", "statusCode": 200, "durationMs": 20}
    events.append({"type": "request", **around, "data": request})
    return payload(events, name, service)


def payload(events: list[dict[str, Any]], name: str | None = None, service: str = "shop") -> bytes:
    """The body of a POST."""
    resource = {"service": service, "pid": 1, "started": 1.0, "host": "test"}
    said: dict[str, Any] = {"_brakit": True, "version": 1, "sdk": "test/1", "resource": resource, "events": events}
    return json.dumps({**said, "batchId": name} if name else said).encode()


def log(message: str, **more: Any) -> dict[str, Any]:
    """A log event."""
    return {"type": "log", "timestamp": time.time() * 1000, "data": {"level": "info", "message": message, **more}}


def integrity(data: Path) -> str:
    """What SQLite says of the file: `ok`, or what is wrong with it."""
    connection = sqlite3.connect(f"file:{data / 'brakit.db'}?mode=ro", uri=True)
    try:
        return "; ".join(text for (text,) in connection.execute("PRAGMA integrity_check"))
    finally:
        connection.close()


def set_aside(folder: Path) -> list[Path]:
    """Damaged files that were kept."""
    return sorted(folder.glob("*.corrupt-*"))
