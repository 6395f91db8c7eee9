"""The frameworks, their styles, and one run of an app of each."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.line.processes import ROOT, Process, free_port, listens, wait_for
from tests.truth.databases import MariaDB, Postgres, Statement
from tests.truth.ledger import CUT, Captured, Row, Truth, compare
from tests.truth.witness import Ingest, Witness

AT_ONCE = 20
ROUNDS = 5 if os.environ.get("BRAKIT_LONG") else 1
"""A cell gets this many times as many requests as are under way at once."""
QUIET_S = 0.6
LATE_S = 5
SETTLE_S = 60

THREADED = ("sync", "pool", "thread", "stream", "error")
LOOPED = ("async", "pool", "gather", "thread", "after", "stream", "error", "socket")

FRAMEWORKS: dict[str, tuple[str, ...]] = {
    "starlette": ("sync", *LOOPED, "stream_sync", "cut", "leave"),
    "fastapi": ("sync", *LOOPED, "after_async", "error_async", "leave"),
    "litestar": ("sync", *LOOPED),
    "quart": ("sync", *LOOPED, "leave"),
    "aiohttp_web": (*LOOPED, "cut", "leave"),
    "sanic": ("sync", *LOOPED, "cut", "leave"),
    "tornado": ("sync", *LOOPED, "cut", "leave"),
    "falcon_asgi": LOOPED,
    "bare_asgi": LOOPED,
    "django_asgi": (
        *THREADED, "after", "async", "gather", "pool_async", "thread_async", "stream_async", "after_async", "error_async",
        "leave",
    ),
    "django_wsgi": (*THREADED, "after", "once", "once_gather"),
    "drf": tuple(f"rest/{style}" for style in THREADED),
    "flask": (*THREADED, "after", "async", "gather", "cut", "leave"),
    "flask_gevent": (*THREADED, "after", "leave"),
    "fastapi_workers": ("sync", "async", "gather", "after", "socket"),
    "falcon_wsgi": THREADED,
    "bottle": THREADED,
    "pyramid": (*THREADED, "after"),
    "bare_wsgi": (*THREADED, "after"),
}  # fmt: skip
NEEDS = {"flask": ("gunicorn",), "flask_gevent": ("gunicorn", "gevent"), "sanic": ("sanic",)}
"""What may be missing on one Python or another."""


@dataclass
class Witnesses:
    """Who knows the truth."""

    postgres: Postgres
    mariadb: MariaDB
    stub: Witness


class Asked(Exception):
    """An answer is not what it should be."""


async def ask(session: aiohttp.ClientSession, url: str, row: Row) -> None:
    """One request of the crowd's, to the end of its answer."""
    if row.style == "socket":
        async with session.ws_connect(url) as connection:
            for text in "ab":
                await connection.send_str(text)
                answer = await connection.receive(timeout=60)
                if answer.data != text:
                    raise Asked(f"{url}: {answer}")
        return
    async with session.get(url) as response:
        if row.style == "leave":
            await response.content.readexactly(100)
            response.close()
            return
        text = await response.text()
        if (response.status == 500) != ("error" in row.style) or response.status not in (200, 500):
            raise Asked(f"{url}: {response.status} {text[:500]}")


async def drive(base: str, cells: dict[str, Row], seed: int) -> None:
    """All requests of all styles, mixed, `AT_ONCE` at a time."""
    waiting = list(cells.items())
    random.Random(seed).shuffle(waiting)
    limit = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=limit, timeout=aiohttp.ClientTimeout(total=60)) as session:

        async def one() -> None:
            while waiting:
                marker, row = waiting.pop()
                await ask(session, f"{base}/{row.style}/{marker}", row)

        await asyncio.gather(*[one() for _ in range(AT_ONCE)])


def run(framework: str, witnesses: Witnesses, folder: Path, styles: tuple[str, ...] = (), **variables: str) -> list[Row]:
    """The rows of a framework: start its app, ask, wait until all is done and sent, stop it, compare."""
    for name in NEEDS.get(framework, ()):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: nothing to serve {framework}")
    rows = [Row(framework, style, requests=AT_ONCE * ROUNDS) for style in styles or FRAMEWORKS[framework]]
    cells = {f"m{number}": rows[number // (AT_ONCE * ROUNDS)] for number in range(len(rows) * AT_ONCE * ROUNDS)}
    ingest = Ingest()
    port = free_port()
    book = folder / "book"
    book.touch()
    process = Process(
        [sys.executable, "-m", "tests.truth.apps", framework, str(port)],
        folder,
        {
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "sdk/src"))),
            "BRAKIT_ENABLE": "1",
            "BRAKIT_PORT": str(ingest.port),
            "BRAKIT_SERVICE": framework,
            "TRUTH_BOOK": str(book),
            "TRUTH_STUB": witnesses.stub.url,
            "TRUTH_POSTGRES": witnesses.postgres.address,
            "TRUTH_MARIADB_PORT": str(witnesses.mariadb.port),
            **variables,
        },
        framework,
    )
    said = Said(witnesses, book, list(cells))
    try:
        wait_for(lambda: listens(port), 40, process)
        asyncio.run(drive(f"http://127.0.0.1:{port}", cells, seed=len(rows)))
        settle(said, ingest, process)
    except (Asked, aiohttp.ClientError, asyncio.IncompleteReadError) as error:
        raise AssertionError(f"{error!r}\n{said.problems()}\n{process.text()[-4000:]}") from None
    finally:
        process.stop()
        ingest.close()
    assert not ingest.dropped(), f"{framework} has dropped {ingest.dropped()}"
    truth, captured = said.truth(), Captured.of(ingest.events())
    assert captured.tokens, f"{framework} has sent nothing\n{process.text()[-4000:]}"
    strays = captured.strays
    if any(row.style in CUT for row in rows):
        # What a library leaves behind of a cancelled call, the loop reports by itself.
        strays = [event for event in strays if event["data"].get("mechanism") != "asyncio"]
    assert not strays, f"nobody did this: {strays[:3]}"
    assert captured.others <= truth.others, f"more often than it happened: {captured.others - truth.others}"
    compare(cells, truth, captured)
    return rows


class Said:
    """What the witnesses say of one run."""

    def __init__(self, witnesses: Witnesses, book: Path, asked: list[str]) -> None:
        self.witnesses = witnesses
        self.book = book
        self.asked = asked
        self.calls = len(witnesses.stub.log)
        self.statements: list[Statement] = []
        # What was said before is nobody's here.
        witnesses.postgres.statements()
        witnesses.mariadb.statements()

    def words(self) -> list[str]:
        return [line.partition(" ")[0] for line in self.book.read_text().splitlines()]

    def problems(self) -> str:
        """What has gone wrong in the app's own work."""
        return "\n".join([line for line in self.book.read_text().splitlines() if line.startswith("problem")][:10])

    def truth(self) -> Truth:
        """All of it, up to now."""
        self.statements += self.witnesses.postgres.statements()
        self.statements += self.witnesses.mariadb.statements()
        truth = Truth()
        for marker in self.asked:
            truth.ask(marker)
        truth.read_book(self.book)
        truth.read_calls(self.witnesses.stub.log[self.calls :])
        truth.read_statements(self.statements)
        return truth


def settle(said: Said, ingest: Ingest, process: Process) -> None:
    """Wait until every part is done, also those that come after the answer, and the sender has nothing more to say."""

    def done() -> bool:
        words = said.words()
        return words.count("expected") == words.count("done")

    def quiet(seconds: float) -> bool:
        return time.monotonic() - ingest.last > seconds

    wait_for(done, SETTLE_S, process)
    assert not said.problems(), f"{said.problems()}\n{process.text()[-4000:]}"
    wait_for(lambda: quiet(QUIET_S), SETTLE_S, process)
    truth = said.truth().tokens.keys()
    # On a busy machine the sender's thread may take its time.
    wait_for(lambda: quiet(LATE_S) or truth <= Captured.of(ingest.events()).tokens.keys(), SETTLE_S, process)
