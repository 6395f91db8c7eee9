"""`Saving`: brings changes of issues to the store and to those who watch, a short while after they happened."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from brakit_server.analysis.issues import Issues
from brakit_server.answers import StatefulIssue
from brakit_server.stores import Store, StoreUnavailable

AFTER_S = 0.4
"""New issues and new states are collected for so long before they are saved and published; longer where there are many."""

COUNTS_AFTER_S = 3.0
"""The same where nothing but counts has changed: the next server counts again what the last one could not save."""

EACH_S = 0.002
RETRY_S = 2.0
"""Wait before the store is asked again when it was unavailable."""


class Saving:
    """Of one engine."""

    def __init__(self, store: Store, publish: Callable[[list[StatefulIssue]], None], watched: Callable[[], bool]) -> None:
        self._store = store
        self._publish = publish
        self._watched = watched
        self._saving = asyncio.Lock()
        self._planned = False
        self._urgent = asyncio.Event()

    def plan(self, issues: Issues) -> bool:
        """Whether `soon` has to be run: something changed, and nobody is about to save it."""
        if issues.urgent:
            self._urgent.set()
        if not issues.dirty or self._planned:
            return False
        self._planned = True
        return True

    async def soon(self, issues: Issues) -> None:
        """Save after a while, and go on trying while the store is unavailable."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(COUNTS_AFTER_S):
                await self._urgent.wait()
                await asyncio.sleep(max(AFTER_S, EACH_S * len(issues)))
        while True:
            try:
                self._planned = False
                await self.now(issues)
                return
            except StoreUnavailable:
                self._planned = True
                await asyncio.sleep(RETRY_S)

    async def now(self, issues: Issues) -> None:
        """Save what changed. Raises `StoreUnavailable`; the changes are then still to be saved."""
        async with self._saving:
            if not issues.dirty:
                return
            if self._watched():
                self._publish(issues.all())
            self._urgent.clear()
            changed, removed = issues.take_changes()
            try:
                await self._store.save_issues(changed, removed)
            except BaseException:
                issues.return_changes(changed, removed)
                raise
