"""An app whose events are sent."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator

from tests.faults.bench import InRequest
from tests.faults.observing import Run, See
from tests.faults.sending import SenderSweep
from tests.faults.sweep import App

log = logging.getLogger("shop")
SWEEP = SenderSweep


@contextlib.contextmanager
def shop() -> Iterator[Run]:
    connection = sqlite3.connect(":memory:")
    inside = InRequest()

    def work(see: See) -> None:
        see(connection.execute("SELECT ?, 'x' WHERE 1 IN (1, 2)", ("ann@shop.test",)).fetchall())
        try:
            raise LookupError("no such thing")
        except LookupError:
            log.exception("failed, password=%s", "secret")
        log.warning("said", extra={"size": 3})

    yield lambda see: inside(see, work)
    connection.close()


APPS = [App("sender", shop, ())]
