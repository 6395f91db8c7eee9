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
"""Bytes held at most: of each record `RECORD`, and what it counts itself, as headers and bodies."""
RECORD = 512
"""Bytes of a record in memory, about, without what it counts itself."""
SLICE = 64
"""Records at which the sender is woken to encode them, so that they need not be kept."""


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
        self.max_bytes = MAX_BYTES
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
        self.bytes += record.cost + RECORD
        if len(records) >= self.limit or self.bytes > self.max_bytes:
            self._drop(self.limit - 1)
        records.append(record)
        if not self.awake:
            self.awake = True
            self.wake()
        elif len(records) == SLICE:
            self.wake()

    def _drop(self, limit: int) -> None:
        while len(self.records) > limit or self.bytes > self.max_bytes:
            try:
                self.bytes -= self.records.popleft().cost + RECORD
            except IndexError:
                self.bytes = 0
                return
            self.overflow.add()

    def bound(self, limit: int, max_bytes: int) -> None:
        """Hold `limit` records and `max_bytes` bytes at most from now on; the oldest go."""
        self.limit, self.max_bytes = limit, max_bytes
        self._drop(limit)

    def take(self, most: int, taken: list[Record] | None = None) -> list[Record]:
        """The oldest records, at most `most`; put into `taken`, where who takes them has to know of each, whatever interrupts us."""
        taken = [] if taken is None else taken
        for _ in range(most):
            try:
                taken.append(self.records.popleft())
            except IndexError:
                # Two threads may have lost an update between them; empty is known to be 0.
                self.bytes = 0
                break
            self.bytes -= taken[-1].cost + RECORD
        return taken

    def withdraw(self, record: Record) -> bool:
        """Take back one that has not been taken yet; false when it is on its way."""
        try:
            self.records.remove(record)
        except (ValueError, IndexError):
            # An IndexError says that another thread has changed the buffer in the meantime.
            return False
        self.bytes -= record.cost + RECORD
        return True
