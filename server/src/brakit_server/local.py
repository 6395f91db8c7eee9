"""`Recorder`: what runs in this very process, recorded by the SDK and judged by the engine, without a server and without a file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import brakit.client
from brakit.activation import Decision
from brakit.client import Client
from brakit.config import Config
from brakit.conform import tidy
from brakit.instrumentations._jobs import Run
from brakit.wire import Wire
from brakit_server import ingest
from brakit_server.analysis.endpoint import key_of
from brakit_server.analysis.engine import Engine
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import StatefulIssue
from brakit_server.records import Entry, Job, Request
from brakit_server.stores.memory import MemoryStore

T = TypeVar("T")

BUFFER = 100_000
"""Events that may wait between two calls of `take`; beyond, the oldest are dropped and counted."""

PAYLOAD_EVENTS = 10_000
"""Events that are read at a time."""

REASON = "on: what this process does is recorded in its own memory"


class Recorded(NamedTuple):
    """What happened between two calls of `take`."""

    timelines: list[Timeline]
    """Requests and jobs that have ended, by their start; last, if there are any, the events that none of them owns."""
    issues: list[StatefulIssue]
    """Issues with evidence among the timelines, worst first."""
    dropped: int
    """Events that did not fit between two calls."""


class Recorder:
    """Records what this process does, from `start` to `stop`: `with Recorder(root) as recorder: …; recorder.take()`.

    `root` is the folder of the app's own code, `rules` are the thresholds as in `[tool.brakit.rules]`, `settings` the SDK's by
    the names of their environment variables. One at a time: it takes the place of the SDK's client, if one is active, and puts it back.
    Raises `SettingError` for rules that do not exist.
    """

    def __init__(
        self,
        root: Path,
        *,
        service: str = "",
        rules: Mapping[str, object] | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        environment = {"BRAKIT_BUFFER": str(BUFFER), "BRAKIT_SERVICE": service, **(settings or {}), "BRAKIT_ENABLE": "1"}
        self._client = Client(Config(environment), Decision(True, REASON))
        self._client.folder = str(root)
        # Nobody sends anything: `take` empties the buffer.
        self._client.buffer.wake = _nobody
        self._client.look = _nobody  # type: ignore[method-assign]
        self._client.buffer.max_bytes = BUFFER * 2048
        self._wire = Wire(self._client)
        self._wire.root = self._client.root
        self._store = MemoryStore(endpoint_of=key_of)
        self._engine = Engine(
            self._store, project=str(root), settings={"rules": dict(rules or {})}, on_issues=_nobody, watched=lambda: False
        )
        self._before: Client | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="brakit-recorder", daemon=True)
        self._told = 0

    def __enter__(self) -> Recorder:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to record."""
        self._thread.start()
        self._wait(self._engine.start())
        self._before, brakit.client._client = brakit.client._client, self._client
        self._client.start()

    def stop(self) -> None:
        """Put everything back as it was; what was not taken is gone."""
        self._client.shutdown(0.0)
        brakit.client._client = self._before
        self._wait(self._engine.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def failures(self) -> dict[str, str]:
        """Places at which the SDK itself has failed, with the text of the first failure."""
        return dict(self._client.failures.first)

    @contextlib.contextmanager
    def job(self, name: str, source: str = "recorder") -> Iterator[str]:
        """What happens inside is one job, whose id this yields. An exception fails the job and goes on."""
        run = Run(self._client, source, name)
        try:
            yield run.owner.id
        except BaseException as error:
            run.end(error=error, report=False)
            raise
        else:
            run.end()

    def take(self) -> Recorded:
        """What was recorded since the last call, judged. Requests and jobs that are still running come with a later call."""
        return self._wait(self._take())

    async def _take(self) -> Recorded:
        entries: list[Entry] = []
        buffer = self._client.buffer
        while records := buffer.take(PAYLOAD_EVENTS):
            encoded, _ = self._wire.encode(records)
            outcome = ingest.read(self._payload(encoded), time.time() * 1000)
            stored = await self._store.append(outcome.batch)
            self._engine.observe(stored, outcome.batch.resource)
            entries += [each.entry for each in stored]
        await self._engine.settle()
        timelines = _timelines(entries)
        ids = {timeline.root.id for timeline in timelines if timeline.root is not None}
        ids |= {entry.id for timeline in timelines if timeline.root is None for entry in timeline.entries}
        issues = [issue for issue in self._engine.issues() if ids.intersection(issue.issue.evidence)]
        overflow = buffer.overflow.value()
        dropped, self._told = overflow - self._told, overflow
        return Recorded(timelines, issues, dropped)

    def _payload(self, encoded: list[bytes]) -> bytes:
        envelope = json.dumps({"_brakit": True, "version": 1, "resource": tidy(self._client.resource())}).encode()
        return envelope[:-1] + b',"events":[' + b",".join(encoded) + b"]}"

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _timelines(entries: list[Entry]) -> list[Timeline]:
    roots = {entry.id: entry for entry in entries if isinstance(entry, Request | Job)}
    owned: dict[str | None, list[Entry]] = {id: [] for id in (*roots, None)}
    for entry in entries:
        if not isinstance(entry, Request | Job):
            owner = entry.parent_request_id
            owned[owner if owner in roots else None].append(entry)
    made = [Timeline(root, owned[root.id]) for root in sorted(roots.values(), key=lambda root: root.timestamp)]
    return [*made, Timeline(None, owned[None])] if owned[None] else made


def _nobody(*_: object) -> None:
    return
