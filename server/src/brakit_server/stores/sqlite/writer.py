"""The one thread that writes. Work that comes close together shares a transaction, as does what waits while one commits."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from brakit_server.stores import StoreUnavailable
from brakit_server.stores.sqlite import schema

T = TypeVar("T")

GROUP = 64
"""Pieces of work in one transaction, at most."""

GATHER_SECONDS = 0.005
"""How long work is held back at most while more of it comes with every turn of the event loop."""

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
        self._queue: SimpleQueue[Sequence[Work[Any]] | None] = SimpleQueue()
        self._gathered: list[Work[Any]] = []
        """What the thread was not told of yet: each time it is woken costs as much as several batches do."""
        self._waiting: deque[Work[Any]] = deque()
        """What the thread has taken and not begun."""
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
        loop = asyncio.get_running_loop()
        work = Work(do, alone, loop)
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            gathered = self._gathered
            gathered.append(work)
            if len(gathered) == 1:
                loop.call_soon(self._turn, loop, 0, loop.time() + GATHER_SECONDS)
            elif len(gathered) >= GROUP or gathered[0].loop is not loop:
                self._hand_over()
        return await work.future

    def _turn(self, loop: asyncio.AbstractEventLoop, known: int, until: float) -> None:
        """The event loop went round once: the thread is to begin when that brought nothing more."""
        with self._closing:
            number = len(self._gathered)
            if number > known and loop.time() < until:
                loop.call_soon(self._turn, loop, number, until)
            else:
                self._hand_over()

    def _hand_over(self) -> None:
        if self._gathered:
            self._queue.put(self._gathered)
            self._gathered = []

    def close(self) -> None:
        """Finish what was submitted and close the connection."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._hand_over()
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            # Whatever ended the thread: nobody may wait for it for ever.
            with self._closing:
                self._closed = True
                self._hand_over()
            while not self._queue.empty():
                self._waiting.extend(self._queue.get() or ())
            for work in self._waiting:
                work.error = StoreUnavailable("the store is closed")
            _settle(self._waiting)
            self._connection.close()

    def _work(self) -> None:
        waiting = self._waiting
        ended = False
        while True:
            more = None if ended else self._next() if not waiting else self._at_hand()
            while more:
                waiting.extend(more)
                more = self._at_hand() if len(waiting) < GROUP else ()
            ended = ended or more is None
            if not waiting:
                break
            group = [waiting.popleft()]
            while waiting and len(group) < GROUP and not group[0].alone and not waiting[0].alone:
                group.append(waiting.popleft())
            for work in group:
                work.error = StoreUnavailable("the store failed")
            try:
                self._perform(group)
            finally:
                _settle(group)
            self._more = True
            if self._keeper.due():
                self._in_order(self._keeper.keep)

    def _at_hand(self) -> Sequence[Work[Any]] | None:
        """What has come meanwhile; None at the end."""
        try:
            return self._queue.get_nowait()
        except Empty:
            return ()

    def _next(self) -> Sequence[Work[Any]] | None:
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


def _settle(group: Iterable[Work[Any]]) -> None:
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
