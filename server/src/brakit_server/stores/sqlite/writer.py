"""The one thread that writes. Work that waits while a transaction commits shares the next one."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from brakit_server.stores import StoreUnavailable
from brakit_server.stores.sqlite import schema

T = TypeVar("T")

GROUP = 64
"""Pieces of work in one transaction, at most."""

IDLE_SECONDS = 0.05
"""How long nobody must have asked for anything before a step is made of what can wait."""


class Work(Generic[T]):
    """Something to do on the connection, and who waits for it.

    `alone`: it manages its own transactions, and shares none.
    """

    __slots__ = ("alone", "do", "error", "future", "loop", "result")

    def __init__(self, do: Callable[[sqlite3.Connection], T], alone: bool, loop: asyncio.AbstractEventLoop) -> None:
        self.do = do
        self.alone = alone
        self.loop = loop
        self.future: asyncio.Future[T] = loop.create_future()
        self.result: T | None = None
        self.error: Exception | None = None

    def settle(self) -> None:
        """On the event loop: tell who waits."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]


class Keeper(Protocol):
    """What the writer's thread keeps besides the file, and the work that nobody waits for. All calls come from that thread."""

    def begin(self) -> None:
        """A transaction is about to begin."""
        ...

    def seal(self, connection: sqlite3.Connection) -> None:
        """It is about to be committed."""
        ...

    def committed(self) -> None: ...

    def undo(self) -> None:
        """It came to nothing."""
        ...

    def due(self) -> bool:
        """Whether `keep` has to be called before more is taken."""
        ...

    def keep(self, connection: sqlite3.Connection) -> None:
        """Bring the file into order, in transactions of its own."""
        ...

    def idle(self, connection: sqlite3.Connection) -> bool:
        """A short step of what can wait, in transactions of its own; whether there is more."""
        ...


class Writer:
    """Owns the writing connection."""

    def __init__(self, connection: sqlite3.Connection, path: Path, keeper: Keeper) -> None:
        self._connection = connection
        self._path = path
        self._keeper = keeper
        self._more = True
        """Whether there may be something that can wait."""
        self._queue: SimpleQueue[Work[Any] | None] = SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        """Between it and the thread's end: what is submitted is done, or refused."""
        self._thread = threading.Thread(target=self._run, name="brakit-writer", daemon=True)
        self._thread.start()

    async def submit(self, do: Callable[[sqlite3.Connection], T], *, alone: bool = False) -> T:
        """Run `do` in the writer's thread; return its result once it is committed.

        Results of works that share a transaction come back in the order in which they were submitted. Raises `StoreUnavailable`
        where SQLite could not do it; nothing of it is then in the file.
        """
        work = Work(do, alone, asyncio.get_running_loop())
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            self._queue.put(work)
        return await work.future

    def close(self) -> None:
        """Finish what was submitted and close the connection."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            # Whatever ended the thread: nobody may wait for it for ever.
            with self._closing:
                self._closed = True
            while not self._queue.empty():
                if (work := self._queue.get()) is not None:
                    work.error = StoreUnavailable("the store is closed")
                    _settle([work])
            self._connection.close()

    def _work(self) -> None:
        carried: Work[Any] | None = None
        while True:
            first = carried or self._next()
            carried = None
            if first is None:
                break
            group = [first]
            ended = False
            while not first.alone and len(group) < GROUP:
                try:
                    work = self._queue.get_nowait()
                except Empty:
                    break
                if work is None:
                    ended = True
                    break
                if work.alone:
                    carried = work
                    break
                group.append(work)
            for work in group:
                work.error = StoreUnavailable("the store failed")
            try:
                self._perform(group)
            finally:
                _settle(group)
            self._more = True
            if self._keeper.due():
                self._in_order(self._keeper.keep)
            if ended:
                break

    def _next(self) -> Work[Any] | None:
        while self._more:
            try:
                return self._queue.get(timeout=IDLE_SECONDS)
            except Empty:
                self._more = self._in_order(self._keeper.idle) or False
        return self._queue.get()

    def _in_order(self, do: Callable[[sqlite3.Connection], T]) -> T | None:
        try:
            return do(self._connection)
        except Exception as error:  # nobody waits for it, and it is tried again
            self._failed(error)
            return None

    def _perform(self, group: list[Work[Any]]) -> None:
        if group[0].alone:
            self._try_alone(group[0])
            return
        failure = self._transaction(group)
        if failure is not None and len(group) > 1 and not _is_storage(failure):
            # One of them cannot be stored: the others must not suffer for it.
            for work in group:
                work.error = self._transaction([work])
            return
        for work in group:
            work.error = failure

    def _transaction(self, group: list[Work[Any]]) -> Exception | None:
        connection = self._connection
        self._keeper.begin()
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work in group:
                work.result = work.do(connection)
            self._keeper.seal(connection)
            connection.execute("COMMIT")
        except Exception as error:  # whatever a piece of work does, the thread lives on for the others
            return self._failed(error)
        self._keeper.committed()
        return None

    def _try_alone(self, work: Work[Any]) -> None:
        self._keeper.begin()
        try:
            work.result = work.do(self._connection)
            work.error = None
        except Exception as error:
            work.error = self._failed(error)

    def _failed(self, error: Exception) -> Exception:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            error = second
        self._keeper.undo()
        if isinstance(error, sqlite3.Error) and schema.is_corruption(error):
            schema.suspect(self._path).touch(mode=0o600)
        wrapped = StoreUnavailable(str(error))
        wrapped.__cause__ = error
        return wrapped


def _is_storage(failure: Exception) -> bool:
    """Whether the storage failed, so that trying each piece of work again would only wait for it again."""
    cause = failure.__cause__
    return isinstance(cause, sqlite3.OperationalError) or (
        isinstance(cause, sqlite3.DatabaseError) and schema.is_corruption(cause)
    )


def _settle(group: list[Work[Any]]) -> None:
    loops: dict[int, list[Work[Any]]] = {}
    for work in group:
        loops.setdefault(id(work.loop), []).append(work)
    for works in loops.values():
        try:
            works[0].loop.call_soon_threadsafe(_settle_all, works)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            continue


def _settle_all(works: list[Work[Any]]) -> None:
    for work in works:
        work.settle()
