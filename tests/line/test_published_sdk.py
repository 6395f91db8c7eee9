"""The published SDK, `brakit` 0.1.7, in an environment of its own, against our server: everything that it sends is taken."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.line.processes import ROOT, Process, Server, free_port, listens, wait_for

APP = """
import brakit
import logging, sys, threading
from fastapi import FastAPI
from sqlalchemy import create_engine, text
import httpx, uvicorn
app = FastAPI()
engine = create_engine("sqlite://")
port = int(sys.argv[1])

@app.get("/items/{number}")
async def item(number: int, fail: bool = False):
    logging.getLogger().warning("item %s", number)
    with engine.connect() as connection:
        for index in range(3):
            connection.execute(text("select :n"), {"n": index}).all()
    async with httpx.AsyncClient() as client:
        await client.get(f"http://127.0.0.1:{port}/ping")
    if fail:
        raise ValueError("no such item")
    return {"n": number}

@app.get("/ping")
async def ping():
    return {"pong": True}

uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
"""

RECORDER = """
import http.server, json, sys, urllib.error, urllib.request
server, port, file = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], "a", buffering=1)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        request = urllib.request.Request(server + self.path, data=body, headers={"Content-Type": self.headers["content-type"]})
        try:
            status, answer = urllib.request.urlopen(request).status, b""
        except urllib.error.HTTPError as error:
            status, answer = error.code, error.read()
        file.write(json.dumps([status, answer.decode(), json.loads(body)]) + "\\n")
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def log_message(self, *arguments):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""


@pytest.fixture(scope="session")
def published() -> Path:
    """Python of an environment with the published SDK; made once, kept in .cache."""
    folder = ROOT / ".cache" / "published-sdk"
    python = folder / "bin" / "python"
    if not (folder / "done").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        constraints = ["--constraint", str(ROOT / "constraints.txt")]
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        asked = subprocess.run([*pip, "brakit==0.1.7"], capture_output=True, text=True)
        if asked.returncode != 0:
            pytest.skip(f"the published SDK cannot be installed here: {asked.stderr.strip().splitlines()[-1:]}")
        subprocess.run([*pip, *constraints, "fastapi", "uvicorn", "sqlalchemy", "httpx"], check=True)
        (folder / "done").touch()
    return python


def test_everything_that_it_sends_is_taken(
    published: Path, server: Server, start: Callable[..., Process], tmp_path: Path
) -> None:
    relay, port = free_port(), free_port()
    seen = tmp_path / "answers"
    start([sys.executable, "-c", RECORDER, f"http://127.0.0.1:{server.port}", str(relay), str(seen)], name="recorder")
    wait_for(lambda: listens(relay), 10)
    (tmp_path / "app.py").write_text(APP)
    app = start([str(published), "app.py", str(port)], BRAKIT_PORT=str(relay))
    wait_for(lambda: listens(port), 20, app)

    def answers() -> list[tuple[int, str, Any]]:
        return [tuple(json.loads(line)) for line in seen.read_text().splitlines()] if seen.exists() else []

    def sent() -> list[str]:
        return [event["type"] for _, _, payload in answers() for event in payload["events"]]

    def introduced() -> bool:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/ping").read()
        return "sdk.hello" in sent()

    # What happens before it has found the server is lost to it.
    wait_for(introduced, 20, app)
    for number in range(5):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/items/{number}?page=2").read()
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/items/9?fail=true")

    def arrived() -> bool:
        requests = [
            event["data"]["url"] for _, _, payload in answers() for event in payload["events"] if event["type"] == "request"
        ]
        return len([url for url in requests if url.startswith("/items/")]) == 6 and "error" in sent()

    wait_for(arrived, 20, app)
    assert {status for status, _, _ in answers()} == {204}, answers()
    kinds = sent()
    assert {"sdk.hello", "request", "db.query", "fetch", "log", "error"} <= set(kinds)

    def all_stored() -> bool:
        known = ["other" if kind == "sdk.hello" else kind for kind in sent()]
        return bool(server.get("status")["events"] == {kind: known.count(kind) for kind in set(known)})

    wait_for(all_stored, 10)
    request = server.get("requests?search=items/3")["requests"][0]
    activity = server.get(f"activity?requestId={request['id']}")
    assert activity["counts"]["queries"] == 3
    assert activity["counts"]["logs"] >= 1
    # What it calls the time of a request is its end; the record has the start.
    assert request["startedAt"] <= min(entry["timestamp"] for entry in activity["timeline"]) + 1
