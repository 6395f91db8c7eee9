"""`Backlog`: requests and jobs on their way to be judged, and for a while after. Bounded in owners and in events."""

from __future__ import annotations

from collections.abc import Sequence

from brakit_server.analysis.point import Point
from brakit_server.analysis.shapes import ShapeTotals
from brakit_server.analysis.timeline import Root
from brakit_server.records import Entry, Error, Job, Request
from brakit_server.stores import Stored

EVENTS_PER_OWNER = 20_000
"""Events of one request that are looked at; more are left to the store."""

WAITING = 2_000
"""Owners that have not arrived."""

JUDGED = 500
"""Owners that are kept after they were judged, for events that come late."""

DUE = 10_000
"""Owners that are to be judged. When more come than can be judged, the oldest are counted and not judged."""

EVENTS = 100_000
"""Events that are held in all."""

RESUME_S = 10.0
"""So long after the start events come of which a part may have come to the server before: SDKs send again what was not answered."""

RECEIVED_MS = 1_000.0
"""How exactly is known when the last event was stored."""

ABSENT = 50_000
"""Ids that are remembered of what had to go."""


class Held:
    """A request or job, or a place for one, with the events that have arrived."""

    __slots__ = ("arrived", "entries", "errors", "first", "found", "id", "judged", "last", "point", "reread", "root", "shapes")

    def __init__(self, id: str, arrived: float) -> None:
        self.id = id
        self.arrived = arrived
        """By the event loop's clock, seconds: the first event; when it is due, what made it so."""
        self.root: Root | None = None
        self.entries: list[Entry] = []
        self.found: set[str] = set()
        """Identities of findings that were counted."""
        self.judged = False
        self.reread = False
        """Events of it are in the store only."""
        self.errors = 0
        """Errors that were judged while the owner had not come."""
        self.first = 0
        """`seq` of what made it due."""
        self.last = 0
        """The highest `seq` of its events."""
        self.point: Point | None = None
        """Its figures as they were counted."""
        self.shapes: ShapeTotals | None = {}
        """What was counted of its statements; None where that is not known any more."""


class Backlog:
    """Every held owner is in exactly one of four places: waiting (for its own event), due, working, judged."""

    def __init__(self, started: float) -> None:
        self.waiting: dict[str, Held] = {}
        self.due: dict[str, Held] = {}
        self.working: dict[str, Held] = {}
        """Taken by `take_due`, until `keep`, `wait` or `drop`."""
        self.judged: dict[str, Held] = {}
        self.dismissed: list[Held] = []
        """Those that are not judged because too many came: their figures are still to be counted."""
        self.given_up = 0
        """How many they were."""
        self._started = started
        self._before = started
        """What begins later has no events from before the start; epoch milliseconds."""
        self._resuming = float("inf")
        """Until then (event loop's clock) what has ended before the start may be in two parts."""
        self._late: dict[str, Held] = {}
        """What came for those at work."""
        self._absent: dict[str, bool] = {}
        self._kept = 0

    @property
    def folded(self) -> int | None:
        """The `seq` below which everything that arrived has been judged, as far as its owner has come; None: all has."""
        return min((held.first for place in (self.due, self.working) for held in place.values()), default=None)

    def resume(self, stored_until: float, now: float) -> None:
        """The server starts. The last event that is stored arrived at `stored_until`, epoch milliseconds; 0: there is none."""
        self._before = min(self._started, stored_until + RECEIVED_MS)
        self._resuming = now + RESUME_S

    def take_in(self, stored: Sequence[Stored], now: float) -> None:
        """Events were stored."""
        owner: str | None = None
        held: Held | None = None
        entries: list[Entry] = []
        for each in stored:
            entry = each.entry
            kind = type(entry)
            if kind is Request or kind is Job:
                self.root(entry, each.seq, now)  # type: ignore[arg-type]
                owner = None
            elif entry.parent_request_id:
                # Most events come in a row with others of their owner.
                if entry.parent_request_id != owner:
                    if self._kept > EVENTS or len(self.waiting) > WAITING:
                        self._bound()
                    owner = entry.parent_request_id
                    held = self._place_for(owner, each.seq, now)
                    entries = held.entries
                if len(entries) < EVENTS_PER_OWNER:
                    entries.append(entry)
                    self._kept += 1
                if held is not None:
                    held.last = each.seq
            elif kind is Error:
                self._alone(entry, each.seq, now)
        self._bound()

    def root(self, root: Root, seq: int, now: float) -> None:
        """A request or job arrived. Epoch milliseconds of the server's start tell whether its events may have come before."""
        if root.id in self.working:
            held = self._late.setdefault(root.id, Held(root.id, now))
            held.root, held.first, held.last = root, held.first or seq, seq
            return
        held = self.due.get(root.id) or self._leave(root.id) or Held(root.id, now)
        if root.id in self._absent:
            held.judged = self._absent.pop(root.id) or held.judged
            held.reread = True
            held.shapes = None if held.judged else held.shapes
        if root.timestamp < self._before and (now < self._resuming or root.timestamp + root.duration_ms > self._started):
            held.reread = True
        held.root = root
        held.last = max(held.last, seq)
        self._make_due(held, seq, now)

    def take_due(self, before: float) -> Held | None:
        """The one that has been due longest, if since `before` (event loop's clock) or earlier."""
        for id, held in self.due.items():
            if held.arrived > before:
                return None
            del self.due[id]
            self._kept -= len(held.entries)
            self.working[id] = held
            return held
        return None

    def keep(self, held: Held, now: float) -> None:
        """It was judged: keep it for events that come late, and for those that came while it was."""
        held.judged = True
        self.working.pop(held.id, None)
        late = self._late.pop(held.id, None)
        if late is not None:
            self._kept -= len(late.entries)
            held.entries += late.entries
            held.root = late.root or held.root
            held.last = max(held.last, late.last)
            self._make_due(held, late.first, now)
        else:
            self.judged[held.id] = held
            self._kept += len(held.entries)
        if self._kept > EVENTS or len(self.judged) > JUDGED:
            self._bound()

    def wait(self, held: Held) -> None:
        """Its owner is not there after all."""
        self.working.pop(held.id, None)
        late = self._late.pop(held.id, None)
        if late is not None:
            held.entries += late.entries
            held.last = max(held.last, late.last)
            self._kept -= len(late.entries)
        self.waiting[held.id] = held
        self._kept += len(held.entries)
        self._bound()

    def drop(self, held: Held) -> None:
        """It is neither to be kept nor to be waited for."""
        if self.working.pop(held.id, None) is not None:
            late = self._late.pop(held.id, None)
            self._kept -= len(late.entries) if late is not None else 0
            if held.root is not None:
                self._forget(held.id, judged=True)

    def remember(self, id: str) -> None:
        """It was judged before this server's start."""
        early = self.waiting.pop(id, None)
        if early is None:
            self._forget(id, judged=True)
            return
        self._kept -= len(early.entries)
        early.judged = early.reread = True
        early.shapes = None
        self._make_due(early, early.first, early.arrived)

    def overdue(self, before: float) -> list[Held]:
        """What has waited for its owner since `before` (event loop's clock) or earlier. It goes on waiting."""
        return [held for held in self.waiting.values() if held.arrived <= before]

    def events(self) -> int:
        """How many events are held in all."""
        return self._kept

    def clear(self) -> None:
        """Forget all."""
        for place in (self.waiting, self.due, self.working, self._late, self.judged, self._absent):
            place.clear()
        self.dismissed.clear()
        self._kept = 0

    def _place_for(self, owner: str, seq: int, now: float) -> Held:
        held = self.due.get(owner) or self.waiting.get(owner)
        if held is None and owner in self.working:
            held = self._late.get(owner)
            if held is None:
                held = self._late[owner] = Held(owner, now)
                held.first = seq
        if held is None:
            held = self._leave(owner)
            if held is None and self._absent.get(owner):
                del self._absent[owner]
                held = Held(owner, now)
                held.judged = held.reread = True
                held.shapes = None
            if held is not None:
                self._make_due(held, seq, now)
            else:
                held = self.waiting[owner] = Held(owner, now)
                held.first = seq
        return held

    def _alone(self, entry: Entry, seq: int, now: float) -> None:
        """An event that nothing owns, and that is to be judged by itself."""
        held = Held(entry.id, now)
        held.entries.append(entry)
        held.last = seq
        self._make_due(held, seq, now)

    def _make_due(self, held: Held, seq: int, now: float) -> None:
        """`held` is in no place; the events that it brings are counted here."""
        if held.id not in self.due:
            held.arrived = now
            held.first = seq
            self.due[held.id] = held
            self._kept += len(held.entries)

    def _leave(self, id: str) -> Held | None:
        held = self.waiting.pop(id, None) or self.judged.pop(id, None)
        if held is not None:
            self._kept -= len(held.entries)
        return held

    def _bound(self) -> None:
        while len(self.judged) > JUDGED or (self._kept > EVENTS and self.judged):
            id = next(iter(self.judged))
            self._leave(id)
            self._forget(id, judged=True)
        while len(self.waiting) > WAITING or (self._kept > EVENTS and self.waiting):
            id = next(iter(self.waiting))
            self._leave(id)
            self._forget(id, judged=False)
        while len(self.due) > DUE or (self._kept > EVENTS and len(self.due) > 1):
            id = next(iter(self.due))
            held = self.due.pop(id)
            self._kept -= len(held.entries)
            self._forget(id, judged=True)
            self.given_up += 1
            if held.root is not None or held.judged:
                self.dismissed.append(held)

    def _forget(self, id: str, *, judged: bool) -> None:
        self._absent.pop(id, None)
        self._absent[id] = judged
        while len(self._absent) > ABSENT:
            del self._absent[next(iter(self._absent))]
