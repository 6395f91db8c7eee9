"""The rules about calls and the event loop, on apps that really run under the SDK."""

from __future__ import annotations

import asyncio
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from brakit_server.local import Recorder

HERE = Path(__file__).parent


class Peer(http.server.BaseHTTPRequestHandler):
    """Answers after what `ms` in its query says; `/down` with 503."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        time.sleep(float(query.partition("=")[2] or 0) / 1000)
        self.send_response(503 if path == "/down" else 200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def peer() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def found(endpoint: Any) -> dict[str, str]:
    """By rule, what it says of one request to `endpoint`."""
    with Recorder(HERE, service="shop") as recorder:
        app = Starlette(routes=[Route("/", endpoint)])

        async def one() -> None:
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test", timeout=30) as caller:
                assert (await caller.get("/")).status_code == 200
            # The watch tells of what it has seen a moment after.
            await asyncio.sleep(0.2)

        asyncio.run(one())
        seen = recorder.take()
        assert recorder.failures == {}
    return {issue.issue.rule: issue.issue.desc for issue in seen.issues if issue.issue.endpoint == "GET /"}


def test_three_calls_one_after_the_other(peer: str) -> None:
    async def page(_: Request) -> JSONResponse:
        async with httpx.AsyncClient() as client:
            for name in ("users", "rates", "news"):
                await client.get(f"{peer}/{name}", params={"ms": 100})
        return JSONResponse({})

    assert "3 calls one after the other" in found(page)["sequential-calls"]


def test_the_same_together_is_fine(peer: str) -> None:
    async def page(_: Request) -> JSONResponse:
        async with httpx.AsyncClient() as client:
            await asyncio.gather(*(client.get(f"{peer}/{name}?ms=100") for name in ("users", "rates", "news")))
        return JSONResponse({})

    assert "sequential-calls" not in found(page)


def test_the_same_call_twice(peer: str) -> None:
    async def page(_: Request) -> JSONResponse:
        async with httpx.AsyncClient() as client:
            for _number in range(2):
                await client.get(f"{peer}/rates?ms=30")
        return JSONResponse({})

    assert "2 times in one request" in found(page)["duplicate-fetch"]


def test_tries_without_a_pause(peer: str) -> None:
    async def page(_: Request) -> JSONResponse:
        async with httpx.AsyncClient() as client:
            for _number in range(6):
                if (await client.get(f"{peer}/down")).status_code == 200:
                    break
        return JSONResponse({})

    assert "6 times in a row" in found(page)["retry-storm"]


def test_tries_with_a_growing_pause(peer: str) -> None:
    async def page(_: Request) -> JSONResponse:
        async with httpx.AsyncClient() as client:
            for number in range(5):
                await client.get(f"{peer}/down")
                await asyncio.sleep(0.06 * 2**number)
        return JSONResponse({})

    assert "retry-storm" not in found(page)


def test_a_call_that_blocks_the_loop_and_has_no_timeout(peer: str) -> None:
    async def page(_: Request) -> JSONResponse:
        requests.get(f"{peer}/rates?ms=500")  # noqa: ASYNC210
        return JSONResponse({})

    said = found(page)
    assert "test_calls.py" in said["blocked-loop"]
    assert "requests.api.get" in said["blocked-loop"]
    assert "without a timeout" in said["missing-timeout"]


def test_the_same_in_a_thread_with_a_timeout(peer: str) -> None:
    def page(_: Request) -> JSONResponse:
        requests.get(f"{peer}/rates?ms=500", timeout=20)
        return JSONResponse({})

    assert not {"blocked-loop", "missing-timeout"} & found(page).keys()
