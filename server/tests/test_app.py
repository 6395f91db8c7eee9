"""The process: what it serves, how it starts, that it ends in order."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from brakit_server.app import create_app, is_running, listen
from brakit_server.config import Config, ConfigError
from brakit_server.running import prepare


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A build of the dashboard, and secrets around it."""
    built = tmp_path / "web"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html><title>brakit</title>")
    (built / "assets" / "index-1.js").write_text("1")
    (built / "favicon.svg").write_text("<svg/>")
    (built / ".hidden").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (built / "assets" / "link.js").symlink_to(tmp_path / "secret.txt")
    return built


@contextlib.asynccontextmanager
async def client_of(root: Path, web: Path) -> AsyncIterator[httpx.AsyncClient]:
    config = Config.load({}, root, dir=str(root / "data"))
    prepare(config.dir)
    app = create_app(config, web=web)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_pages(tmp_path: Path, web: Path) -> None:
    async with client_of(tmp_path, web) as client:
        for path in ("/__brakit", "/__brakit/", "/__brakit/requests/a.b", "/__brakit/issues?x=1"):
            page = await client.get(path)
            assert (page.status_code, page.text[:15]) == (200, "<!doctype html>")
            assert page.headers["content-type"].startswith("text/html")
        asset = await client.get("/__brakit/assets/index-1.js")
        assert (asset.text, "immutable" in asset.headers["cache-control"]) == ("1", True)
        assert (await client.get("/__brakit/favicon.svg")).text == "<svg/>"
        home = await client.get("/")
        assert (home.status_code, home.headers["location"]) == (302, "/__brakit")
        assert (await client.get("/elsewhere")).status_code == 404
        assert (await client.get("/__brakit/api")).json() == {"error": "Not found"}
        assert (await client.get("/__brakit/api/")).status_code == 404
        assert (await client.get("/__brakit/api/requests/")).status_code == 404
        assert (await client.delete("/__brakit/api/requests")).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "assets/none.js",
        "assets/",
        "assets/..%2f..%2fsecret.txt",
        "assets/../../secret.txt",
        "assets%2f..%2f..%2fsecret.txt",
        "..%2fsecret.txt",
        "assets/link.js",
        ".hidden",
        "assets/..%5c..%5csecret.txt",
        "assets/%00.js",
        "assets//etc/passwd",
        "%2e%2e/secret.txt",
    ],
)
async def test_nothing_outside_the_build_is_served(tmp_path: Path, web: Path, path: str) -> None:
    async with client_of(tmp_path, web) as client:
        answer = await client.get(f"/__brakit/{path}")
        assert answer.status_code == 404
        assert "secret" not in answer.text


async def test_without_a_build_the_page_says_how_to_make_one(tmp_path: Path) -> None:
    async with client_of(tmp_path, tmp_path / "none") as client:
        page = await client.get("/__brakit")
        assert page.status_code == 200
        assert "make setup" in page.text


def test_it_is_found_while_it_runs_and_leaves_no_trace_of_it(start: Any, event: Any) -> None:
    server = start(umask=0)
    said = json.loads((server.data / "server.json").read_text())
    assert (server.data / "port").read_text() == str(server.port)
    assert (said["pid"], said["url"]) == (server.process.pid, server.url)
    assert server.get("hello") == {"brakit": True, "version": said["version"]}
    server.send(event("log"))
    for file in server.data.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    assert server.stop() == (0, "")
    assert not (server.data / "port").exists()
    assert not (server.data / "server.json").exists()
    assert not (server.data / "brakit.db-wal").exists()


def test_interrupting_ends_it_in_order(start: Any, event: Any) -> None:
    server = start()
    server.send(event("log"))
    assert server.stop(signal.SIGINT) == (0, "")
    assert not (server.data / "port").exists()


def test_a_signal_before_it_listens_is_not_lost(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from brakit_server import app
from brakit_server.config import Config
run = app._Server.run
def late(self, **more):
    os.kill(os.getpid(), signal.SIGTERM)
    run(self, **more)
app._Server.run = late
sys.exit(app.serve(Config.load(environ={}, cwd=Path(sys.argv[1]), port=0)))
"""
    ran = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=10)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not (tmp_path / ".brakit" / "port").exists()


def test_stopped_under_load_it_keeps_what_it_answered_for(start: Any, event: Any, tmp_path: Path) -> None:
    server = start()
    answered: list[str] = []

    def send(name: str) -> None:
        for number in range(10_000):
            owner = f"{name}-{number}"
            queries = [event("db.query", {"requestId": owner}, sql=f"SELECT {one}") for one in range(8)]
            try:
                status = server.send(*queries, event("request", {"requestId": owner}, id=owner))
            except (OSError, IndexError, ValueError):
                return
            if status != 204:
                return
            answered.append(owner)

    senders = [threading.Thread(target=send, args=(name,)) for name in "abcd"]
    for sender in senders:
        sender.start()
    time.sleep(1.5)
    begun = time.monotonic()
    code, said = server.stop()
    assert time.monotonic() - begun < 4
    assert (code, said) == (0, "")
    for sender in senders:
        sender.join(10)
    again = start()
    page = again.get("requests")
    stored = [request["id"] for request in page["requests"]]
    while "next" in page:
        page = again.get(f"requests?before={page['next']}")
        stored += [request["id"] for request in page["requests"]]
    assert len(answered) > 50
    assert set(answered) <= set(stored)
    assert len(stored) == len(set(stored)) == page["total"]
    assert again.get("queries?limit=1")["total"] == 8 * len(stored)


def test_a_second_server_on_one_folder_is_refused(start: Any) -> None:
    first = start()
    with pytest.raises(RuntimeError, match=rf"pid {first.process.pid}\): {first.url}"):
        start()
    assert first.get("status")["version"]


def test_after_a_kill_the_next_one_starts(start: Any, event: Any) -> None:
    first = start()
    first.send(event("log", message="before"))
    first.stop(signal.SIGKILL)
    assert (first.data / "port").exists()
    second = start()
    assert second.get("logs?search=before")["total"] == 1


def test_issues_and_events_survive_a_restart(start: Any, event: Any) -> None:
    first = start()
    first.send(event("error", {"requestId": None}, message="still there"))
    issues = first.wait_for("insights", lambda found: found["issues"])["issues"]
    first.stop()
    second = start()
    assert [issue["issueId"] for issue in second.get("insights")["issues"]] == [issue["issueId"] for issue in issues]
    assert second.get("errors")["total"] == 1


def test_the_default_port_gives_way_and_an_asked_one_does_not(tmp_path: Path) -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    port = taken.getsockname()[1]
    asked = Config.load({}, tmp_path, port=port)
    with pytest.raises(ConfigError, match=str(port)):
        listen(asked)
    default = Config(root=tmp_path, dir=tmp_path, port=port, port_fallback=True)
    with listen(default) as other:
        assert other.getsockname()[1] not in (0, port)
    taken.close()


def test_settings_that_cannot_be_used_are_said_in_a_sentence(start: Any, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as error:
        start(max_bytes="x")
    assert "--max-bytes" in str(error.value)
    assert "Traceback" not in str(error.value)
    (tmp_path / "pyproject.toml").write_text("[tool.brakit.rules.nonsense]\nx = 1\n")
    with pytest.raises(RuntimeError) as error:
        start()
    assert "nonsense" in str(error.value)
    assert "Traceback" not in str(error.value)


def test_it_ends_with_the_process_that_it_was_started_for(start: Any) -> None:
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    server = start(until_exit=other.pid)
    time.sleep(1)
    assert server.process.poll() is None
    other.communicate(b"\n", timeout=10)
    server.process.wait(5)
    assert not (server.data / "port").exists()


def test_is_running() -> None:
    assert is_running(os.getpid())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 10
    while is_running(ended.pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ended.wait()
    assert not is_running(ended.pid)
