"""Servers that fork and reload: each worker has a name of its own, and the process that only watches has none."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sdk.tests.conftest import Sink

APP = """
import logging, os
{brakit}
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.info("loaded %d", os.getpid())

def wsgi(environ, start_response):
    log.info("asked %d", os.getpid())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]

async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    log.info("asked %d", os.getpid())
    await send({{"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}})
    await send({{"type": "http.response.body", "body": str(os.getpid()).encode()}})

if "brakit" in globals():
    wsgi, asgi = brakit.wsgi(wsgi), brakit.asgi(asgi)
"""


class Server:
    """A server in processes of its own session."""

    def __init__(self, folder: Path, sink: Sink, *command: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.app = folder / "shop.py"
        self.app.write_text(APP.format(brakit="import brakit"))
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *(part.format(port=self.port) for part in command)],
            cwd=folder,
            env={**kept, "BRAKIT_ENABLE": "1", "BRAKIT_PORT": str(sink.port)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def ask(self) -> int:
        """The process that has answered."""
        until = time.monotonic() + 20
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                    return int(answer.read())
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def stop(self) -> str:
        """End it as a person would; what it said."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.communicate(timeout=20)[1]
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    made: list[Server] = []
    yield made
    for server in made:
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
        if server.process.stderr is not None and not server.process.stderr.closed:
            server.process.communicate()


def of_pid(sink: Sink) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for payload in sink.payloads:
        texts = [
            event["data"]["message"]
            for event in payload["events"]
            if event["type"] == "log" and event["data"]["logger"] == "shop"
        ]
        found.setdefault(payload["resource"]["pid"], []).extend(texts)
    return {pid: texts for pid, texts in found.items() if texts}


def test_gunicorn_that_loads_the_app_before_it_forks(sink: Sink, tmp_path: Path, servers: list[Server]) -> None:
    pytest.importorskip("gunicorn")
    server = Server(tmp_path, sink, "gunicorn", "--preload", "--workers", "4", "shop:wsgi", "--bind", "127.0.0.1:{port}")
    servers.append(server)
    answered = [server.ask() for _ in range(100)]
    assert sink.wait(lambda: len(sink.of("request")) == 100, 20)
    server.stop()
    ids = [request["data"]["id"] for request in sink.of("request")]
    assert len(set(ids)) == 100
    logs = of_pid(sink)
    loaded = [pid for pid, texts in logs.items() if texts[0].startswith("loaded")]
    # The one that loads is the one that forks: nobody sends its line but itself.
    assert loaded == [server.process.pid]
    assert {pid: len(texts) for pid, texts in logs.items() if pid not in loaded} == {
        pid: answered.count(pid) for pid in set(answered)
    }
    assert all(text == f"asked {pid}" for pid, texts in logs.items() if pid not in loaded for text in texts)


def test_uvicorn_that_loads_the_app_again(sink: Sink, tmp_path: Path, servers: list[Server]) -> None:
    pytest.importorskip("uvicorn")
    server = Server(tmp_path, sink, "uvicorn", "--reload", "--reload-dir", ".", "shop:asgi", "--port", "{port}")
    servers.append(server)
    pids = [server.ask()]
    for round in range(2):
        until, written = time.monotonic() + 30, 0.0
        while server.ask() == pids[-1]:
            assert time.monotonic() < until, "it has not loaded again"
            # uvicorn serves before it watches: a change in between is one that it never sees.
            if time.monotonic() > written + 4:
                server.app.write_text(APP.format(brakit="import brakit") + f"\nround = {round, written}\n")
                written = time.monotonic()
            time.sleep(0.1)
        pids.append(server.ask())
    assert len(set(pids)) == 3
    server.stop()
    logs = of_pid(sink)
    # One name for each that has served, none for the one that watches the files.
    assert set(logs) == set(pids)
    assert all(text in (f"loaded {pid}", f"asked {pid}") for pid, texts in logs.items() for text in texts)
    assert all(texts.count(f"loaded {pid}") == 1 for pid, texts in logs.items())
