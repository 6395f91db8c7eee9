"""POSTs of events go past the routes, but past no gate, and are answered as a route would."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from brakit_server.app import create_app
from brakit_server.config import Config
from brakit_server.ingest import MAX_BYTES
from brakit_server.running import prepare
from brakit_server.security import HEADERS, INGEST
from brakit_server.stores import StoreUnavailable

BODY = b'{"_brakit":true,"version":1,"events":[{"type":"log","data":{"level":"info","message":"m"}}]}'
JSON = {"content-type": "application/json"}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Starlette]:
    config = Config.load({}, tmp_path, dir=str(tmp_path / "data"))
    prepare(config.dir)
    made = create_app(config)
    async with made.router.lifespan_context(made):
        yield made


@pytest.fixture
async def client(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as made:
        yield made


async def test_a_post_is_stored_and_answered_with_every_header_of_ours(client: httpx.AsyncClient) -> None:
    answer = await client.post(INGEST, content=BODY, headers=JSON)
    assert (answer.status_code, answer.content) == (204, b"")
    assert {**HEADERS, "cache-control": "no-store"}.items() <= dict(answer.headers).items()
    assert "shared" in answer.headers["brakit-accepts"]
    logs = await client.get("/__brakit/api/logs")
    assert [entry["message"] for entry in logs.json()["entries"]] == ["m"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.test", **JSON}, 421),
        ({"origin": "https://evil.test", **JSON}, 403),
        ({"content-type": "text/plain"}, 415),
        ({"content-encoding": "br", **JSON}, 415),
        ({"content-encoding": "gzip", **JSON}, 400),
    ],
)
async def test_no_gate_is_gone_past(client: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
    assert (await client.post(INGEST, content=BODY, headers=headers)).status_code == status
    assert (await client.get("/__brakit/api/logs")).json()["total"] == 0


async def test_other_methods_take_the_way_of_all_others(client: httpx.AsyncClient) -> None:
    answer = await client.put(INGEST, content=BODY, headers=JSON)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_a_store_that_is_not_there_is_told_to_come_back_to(app: Starlette, client: httpx.AsyncClient) -> None:
    async def append(batch: Any) -> Any:
        raise StoreUnavailable("no space left")

    app.state.pipeline.store.append = append
    answer = await client.post(INGEST, content=BODY, headers=JSON)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json() == {"error": "The store is unavailable: no space left"}


@pytest.mark.parametrize("size", [MAX_BYTES, MAX_BYTES + 1])
@pytest.mark.parametrize("chunk", [1 << 16, MAX_BYTES + 1])
async def test_a_body_counts_as_it_comes(app: Starlette, client: httpx.AsyncClient, size: int, chunk: int) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, size, chunk):
            yield BODY.ljust(size)[start : start + chunk]

    answer = await client.post(INGEST, content=parts(), headers=JSON)
    assert answer.status_code == (204 if size == MAX_BYTES else 413)
    assert app.state.load.bytes == 0
