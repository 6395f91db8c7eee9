"""The records that wait for the sender: bounded in count and bytes, never blocking, every drop counted.

`append` runs on the app's threads. It takes no lock: `deque.append` and `deque.popleft` are atomic, and so is a garbage collection
that logs in the middle of one.
"""

from __future__ import annotations

from collections import deque
from itertools import count

from brakit.native import fork_mark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.record import Record

MAX_BYTES = 6 * 1024 * 1024
"""Bytes held at most, as records count them: of a request its headers and bodies, of others only what is large."""
FLUSH_AT = 20
"""Records at which the sender is woken early; the seed's threshold."""


class Counter:
    """A count that many threads may raise: `itertools.count` advances in one step of the interpreter."""

    __slots__ = ("_count", "_read")

    def __init__(self) -> None:
        self._count = count()
        self._read = 0

    def add(self) -> None:
        next(self._count)

    def value(self) -> int:
        """How often `add` was called. Reading advances the underlying count as well, so reads are counted and taken off."""
        total = next(self._count) - self._read
        self._read += 1
        return total


class Buffer:
    """Oldest out first. `wake` is called when the sender sleeps and there is something to send, `forked` when it is another's."""

    def __init__(self, limit: int, wake: Callable[[], None], forked: Callable[[], None]) -> None:
        self.limit = limit
        self.wake = wake
        self.forked = forked
        # 0 at first says that this is a child of the process that it was.
        self.here = fork_mark()
        self.reset()

    def reset(self) -> None:
        """Start empty: at first, and in a child process, which must not send what its parent will."""
        self.records: deque[Record] = deque()
        self.bytes = 0
        self.awake = False
        self.overflow = Counter()
        self.here[0] = 1

    def append(self, record: Record) -> None:
        """Take a record, unless its owner is left out; the oldest goes when there is no room."""
        if record.owner is not None and record.owner.muted:
            return
        if not self.here[0]:
            self.forked()
        records = self.records
        if record.cost:
            self.bytes += record.cost
        if len(records) >= self.limit or self.bytes > MAX_BYTES:
            self._drop()
        records.append(record)
        if not self.awake:
            self.awake = True
            self.wake()
        elif len(records) == FLUSH_AT:
            self.wake()

    def _drop(self) -> None:
        while len(self.records) >= self.limit or self.bytes > MAX_BYTES:
            try:
                self.bytes -= self.records.popleft().cost
            except IndexError:
                self.bytes = 0
                return
            self.overflow.add()

    def shrink(self, limit: int) -> None:
        """Hold `limit` records at most from now on; the oldest go."""
        self.limit = limit
        while len(self.records) > limit:
            try:
                self.bytes -= self.records.popleft().cost
            except IndexError:
                return
            self.overflow.add()

    def take(self, most: int) -> list[Record]:
        """The oldest records, at most `most`."""
        taken = []
        for _ in range(most):
            try:
                taken.append(self.records.popleft())
            except IndexError:
                # Two threads may have lost an update between them; empty is known to be 0.
                self.bytes = 0
                break
            self.bytes -= taken[-1].cost
        return taken

    def withdraw(self, record: Record) -> bool:
        """Take back one that has not been taken yet; false when it is on its way."""
        try:
            self.records.remove(record)
        except (ValueError, IndexError):
            # An IndexError says that another thread has changed the buffer in the meantime.
            return False
        self.bytes -= record.cost
        return True
