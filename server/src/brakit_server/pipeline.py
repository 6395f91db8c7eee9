"""The line through the server: ingest → store → analysis → stream."""

from __future__ import annotations

import asyncio
import logging
import time

from brakit import redact
from brakit_server import ingest
from brakit_server.analysis import suppression
from brakit_server.analysis.endpoint import key_of
from brakit_server.analysis.engine import Engine
from brakit_server.config import Config
from brakit_server.ingest import Outcome
from brakit_server.meters import Meters
from brakit_server.stores import Store, StoreUnavailable
from brakit_server.stores.sqlite import SqliteStore
from brakit_server.stream import Stream

log = logging.getLogger(__name__)

EXPIRE_SECONDS = 5.0


class Pipeline:
    """Owns the store, the engine and the stream of one server."""

    def __init__(self, config: Config, nonce: str = "") -> None:
        self.config = config
        redact.own(config.secrets)
        ingest.forget()
        self.nonce = nonce
        """Proves to SDKs that this is the server that the data folder names."""
        self.started_at = time.time() * 1000
        self.rejected = 0
        self.meters = Meters()
        store = SqliteStore(
            config.database,
            durability=config.durability,
            max_bytes=config.max_bytes,
            max_age_days=config.max_age_days,
            endpoint_of=key_of,
        )
        self.store: Store = store
        self.refusing: str | None = store.read_only
        """Why the store did not take what came last; None where it did."""
        self.stream = Stream(self.store)
        self.engine = Engine(
            self.store,
            project=config.project,
            settings={"rules": config.rules, "ignore": config.ignore},
            baseline=config.root / suppression.FILE,
            on_issues=self.stream.issues,
            watched=self.stream.watched,
        )
        self._expiring: asyncio.Task[None] | None = None

    async def accept(self, outcome: Outcome) -> None:
        """Store what is good, judge it, show it; return when it is durable. Raises `StoreUnavailable`."""
        self.rejected += outcome.rejected_count
        try:
            with self.meters.committing():
                stored = await self.store.append(outcome.batch)
        except StoreUnavailable as error:
            self.refusing = str(error)
            raise
        self.refusing = None
        self.meters.stored(len(stored), (each.reason for each in outcome.rejected), outcome.rejected_count)
        self.stream.publish(stored)
        try:
            self.engine.observe(stored, outcome.batch.resource)
        except Exception:  # it is committed and has to be answered as such, whatever analysis makes of it
            log.exception("events could not be handed over to the analysis")

    async def clear(self) -> None:
        """Forget all events, issues and figures, and say so. Raises `StoreUnavailable`."""
        self.engine.forget()
        try:
            await self.store.clear()
        finally:
            # Events may be gone though the file could not be made small: what is known of them goes too.
            await self.engine.clear()
            self.stream.cleared()

    async def start(self) -> None:
        await self.stream.start()
        await self.engine.start()
        self._expiring = asyncio.create_task(self._expire())

    async def stop(self) -> None:
        self.stream.close()
        if self._expiring is not None:
            self._expiring.cancel()
        await self.engine.stop()
        await self.store.close()

    async def _expire(self) -> None:
        while True:
            await asyncio.sleep(EXPIRE_SECONDS)
            try:
                await self.store.expire()
            except StoreUnavailable:
                continue
