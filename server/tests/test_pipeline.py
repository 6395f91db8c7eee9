"""The line through the server where one of its rooms fails."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from brakit_server import ingest
from brakit_server.config import Config
from brakit_server.pipeline import Pipeline
from brakit_server.running import prepare
from brakit_server.stores import StoreUnavailable, Where
from brakit_server.stores.rollups import Asked
from brakit_server.stores.sqlite import retention

NOW = 1_790_000_000_000.0


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Pipeline]:
    config = Config.load({}, tmp_path, dir=str(tmp_path / "data"))
    prepare(config.dir)
    pipeline = Pipeline(config)
    await pipeline.start()
    yield pipeline
    await pipeline.stop()


def outcome(*events: dict[str, Any]) -> ingest.Outcome:
    return ingest.read(json.dumps({"_brakit": True, "version": 1, "events": events}).encode(), NOW)


def failure(message: str = "bad") -> ingest.Outcome:
    return outcome({"type": "error", "data": {"name": message, "message": message}})


async def issues(line: Pipeline) -> list[str]:
    await line.engine.settle()
    return [issue.issue.title for issue in line.engine.issues()]


async def test_what_is_committed_is_shown_and_answered_though_the_analysis_fails(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watching = line.stream.connect(None)
    assert watching is not None
    with monkeypatch.context() as patched:
        patched.setattr(line.engine._backlog, "take_in", lambda *_: 1 / 0)
        await line.accept(failure())
    assert b"error_event" in (await watching.next(1) or b"")
    assert "ZeroDivisionError" in caplog.text
    caplog.clear()
    await line.accept(failure("Second"))
    assert len(await issues(line)) == 1


async def test_a_request_that_cannot_be_judged_costs_no_other(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    verdicts = line.engine._verdicts
    conclude = verdicts.timeline
    monkeypatch.setattr(
        verdicts, "timeline", lambda held, *rest: 1 / 0 if held.entries[0].name == "Bad" else conclude(held, *rest)
    )
    for name in ("Bad", "Good", "Bad", "Other"):
        await line.accept(failure(name))
    async with asyncio.timeout(3):
        while len(line.engine.issues()) < 2:  # noqa: ASYNC110 (what is waited for has no event of its own)
            await asyncio.sleep(0.02)
    assert caplog.text.count("could not be judged") == 2


async def test_clearing_that_cannot_shrink_the_file_says_so_and_forgets_everything(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    await line.accept(failure())
    assert len(await issues(line)) == 1
    with monkeypatch.context() as patched:
        patched.setattr(retention, "shrink", full)
        with pytest.raises(StoreUnavailable, match="full"):
            await line.clear()
    assert (await line.store.errors(Where())).total == 0
    assert await issues(line) == []
    assert await line.store.issues() == []
    await line.accept(failure())
    assert await line.store.last_seq() == 2
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_figures_that_are_saved_while_the_store_is_cleared_do_not_come_back(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(since=0, until=1e15)
    request = {"id": "r1", "method": "GET", "url": "/", "statusCode": 200, "durationMs": 3}
    await line.accept(outcome({"type": "request", "timestamp": NOW, "data": request}))
    async with asyncio.timeout(5):
        while not line.engine._folding.waiting:  # noqa: ASYNC110 (what is waited for has no event of its own)
            await asyncio.sleep(0.02)
    clear = line.store.clear

    async def slowly() -> None:
        await clear()
        await line.engine._folding.save(line.engine._folded())

    monkeypatch.setattr(line.store, "clear", slowly)
    assert len((await line.engine.rollups(asked)).rows) == 1
    await line.clear()
    assert (await line.engine.rollups(asked)).rows == []
    assert (await line.store.rollups(asked)).rows == []
