"""A server that others can reach, as a process: it starts with tokens only, says who can read, and shows them nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from brakit_server import api

PATHS = [route.path for route in api.routes() if isinstance(route, Route) and "GET" in (route.methods or ())]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BRAKIT_")}


def brakit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "brakit_server.cli", *arguments],
        cwd=folder,
        env=environment(),
        umask=0,
        timeout=60,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("arguments", [("--host", "0.0.0.0"), ("--host", "::"), ("--host", "192.0.2.1"), ("--behind-proxy",)])
def test_without_tokens_it_does_not_start(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ran = brakit(tmp_path, "serve", "--port", "0", *arguments)
    assert ran.returncode == 2
    assert "brakit tokens" in ran.stderr
    assert not (tmp_path / ".brakit" / "port").exists()


def test_a_server_beyond_loopback_starts_with_them_and_shows_them_nowhere(tmp_path: Path, start: Any, event: Any) -> None:
    ran = brakit(tmp_path, "tokens")
    assert (ran.returncode, ran.stderr) == (0, "")
    files = [tmp_path / ".brakit" / name for name in ("read-token", "write-token")]
    read, write = (file.read_text().strip() for file in files)
    assert read != write
    assert min(len(read), len(write)) >= 43
    assert [file.stat().st_mode & 0o777 for file in files] == [0o600, 0o600]
    assert read not in ran.stdout + ran.stderr
    assert write not in ran.stdout + ran.stderr
    assert all(str(file) in ran.stdout for file in files)

    server = start(host="0.0.0.0", allowed_hosts="127.0.0.1")
    assert server.call("GET", "/__brakit/api/status")[0] == 401
    status, _, body = server.call("GET", "/__brakit/api/status", headers={"Authorization": f"Bearer {read}"})
    assert (status, json.loads(body)["events"]) == (200, {})
    batch = json.dumps({"_brakit": True, "version": 1, "events": [event("log")]}).encode()
    assert server.call("POST", "/__brakit/api/ingest", batch, {"Authorization": f"Bearer {write}"})[0] == 204
    for token in (read, write, "wrong" * 8):
        server.call("GET", f"/__brakit/api/requests?token={token}", headers={"Authorization": f"Bearer {token}"})
        server.raw(f"GET /{token} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\nnonsense\r\n\r\n".encode())
    line = Path(f"/proc/{server.process.pid}/cmdline").read_bytes()
    _, said = server.stop()
    assert not any(token in said or token.encode() in line for token in (read, write))
    for file in (tmp_path / ".brakit").iterdir():
        if file not in files:
            assert read.encode() not in file.read_bytes(), file
            assert write.encode() not in file.read_bytes(), file


def test_it_says_who_can_read(tmp_path: Path) -> None:
    assert brakit(tmp_path, "tokens").returncode == 0
    server = subprocess.Popen(
        [sys.executable, "-m", "brakit_server.cli", "serve", "--port", "0", "--host", "0.0.0.0"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    said = server.stdout.readline() + server.stdout.readline()
    server.terminate()
    server.communicate(timeout=15)
    assert "http://127.0.0.1:" in said
    assert "whoever reaches 0.0.0.0 and has the read token" in said


def test_projects_know_nothing_of_each_other(tmp_path: Path, start: Any, event: Any) -> None:
    """A server is one project's, with several services in it; several projects are several servers, with tokens of their own."""
    settings = {"host": "0.0.0.0", "allowed_hosts": "127.0.0.1"}
    projects = {}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        server = start(tmp_path / name, read_token=f"read-{name}-" * 4, write_token=f"write-{name}-" * 4, **settings)
        batch = {
            "_brakit": True,
            "version": 1,
            "resource": {"service": f"shop-{name}", "pid": 1},
            "events": [
                event("request", id=f"request-of-{name}", url=f"/{name}"),
                event("job", {"requestId": None}, id=f"job-of-{name}", name=f"{name}.tasks.mail", duration=1, status="ok"),
                event("db.query", {"requestId": f"request-of-{name}"}, sql=f"SELECT {name} FROM t"),
            ],
        }
        token = f"write-{name}-" * 4
        assert (
            server.call("POST", "/__brakit/api/ingest", json.dumps(batch).encode(), {"Authorization": f"Bearer {token}"})[0]
            == 204
        )
        projects[name] = server
    for name, other in (("a", "b"), ("b", "a")):
        server = projects[name]

        def ask(path: str, whose: str, server: Any = server) -> tuple[int, bytes]:
            status, _, body = server.call(
                "GET", f"/__brakit/api/{path}", headers={"Authorization": f"Bearer {f'read-{whose}-' * 4}"}
            )
            return status, body

        assert ask(f"requests/request-of-{name}", name)[0] == 200
        for path in PATHS:
            if path == "/events":
                continue
            for id in (f"request-of-{other}", f"job-of-{other}"):
                status, body = ask(
                    path.replace("{id}", id).replace("{name}", id)[1:] + f"?requestId={id}&search=shop-{other}", name
                )
                assert status == (404 if "{" in path else status)
                assert status < 500
                # What was asked for may be repeated; nothing of the other is known.
                assert f"SELECT {other}".encode() not in body
                assert f'"shop-{other}"'.encode() not in body
        # The other's token opens nothing here, with whatever id.
        for path in PATHS:
            if path != "/login/{name}":
                assert ask(path.replace("{id}", f"request-of-{name}")[1:], other)[0] in (401, 429), path
