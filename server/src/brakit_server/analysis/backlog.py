"""`Backlog`: requests on their way to be judged, and for a while after. Bounded in requests and in events."""

from __future__ import annotations

from brakit_server.records import Entry, Request

EVENTS_PER_REQUEST = 5_000
"""Events of one request that are looked at; more are left to the store."""

WAITING = 2_000
"""Owners whose request has not arrived."""

JUDGED = 500
"""Requests that are kept after they were judged, for events that come late."""

DUE = 10_000
"""Requests that are to be judged. When more come than can be judged, the oldest are given up."""

EVENTS = 100_000
"""Events that are held in all."""

ABSENT = 50_000
"""Ids that are remembered of what had to go."""


class Held:
    """A request, or a place for one, with the events that have arrived."""

    __slots__ = ("arrived", "entries", "errors", "found", "id", "judged", "request", "reread")

    def __init__(self, id: str, arrived: float) -> None:
        self.id = id
        self.arrived = arrived
        """By the event loop's clock, seconds: the first event; when it is due, the last one to make it so."""
        self.request: Request | None = None
        self.entries: list[Entry] = []
        self.found: set[str] = set()
        """Identities of findings that were counted."""
        self.judged = False
        self.reread = False
        """Events of it are in the store only."""
        self.errors = 0
        """Errors that were judged while the request had not come."""


class Backlog:
    """Every held request is in exactly one of three places: waiting (for its request event), due, judged."""

    def __init__(self, started: float) -> None:
        self.waiting: dict[str, Held] = {}
        self.due: dict[str, Held] = {}
        self.judged: dict[str, Held] = {}
        self.given_up = 0
        """Requests that were not judged because too many came."""
        self._started = started
        self._absent: dict[str, bool] = {}
        self._kept = 0

    def request(self, request: Request, now: float) -> None:
        """A request event arrived. Epoch milliseconds of the server's start tell whether its events may have come before."""
        held = self.due.get(request.id) or self._leave(request.id) or Held(request.id, now)
        if request.id in self._absent:
            held.judged = self._absent.pop(request.id) or held.judged
            held.reread = True
        if request.timestamp < self._started:
            held.reread = True
        held.request = request
        self._make_due(held, now)
        self._bound()

    def event(self, entry: Entry, owner: str, now: float) -> None:
        """Another event arrived; `owner` is the request that it belongs to."""
        held = self.due.get(owner) or self.waiting.get(owner)
        if held is None:
            held = self._leave(owner)
            if held is None and self._absent.get(owner):
                del self._absent[owner]
                held = Held(owner, now)
                held.judged = held.reread = True
            if held is not None:
                self._make_due(held, now)
            else:
                held = self.waiting[owner] = Held(owner, now)
        if len(held.entries) < EVENTS_PER_REQUEST:
            held.entries.append(entry)
            self._kept += 1
        self._bound()

    def alone(self, entry: Entry, now: float) -> None:
        """An event arrived that nothing owns, and that is to be judged by itself."""
        held = Held(entry.id, now)
        held.entries.append(entry)
        self._make_due(held, now)
        self._bound()

    def take_due(self, before: float) -> Held | None:
        """The request that has been due longest, if since `before` (event loop's clock) or earlier."""
        for id, held in self.due.items():
            if held.arrived > before:
                return None
            del self.due[id]
            self._kept -= len(held.entries)
            return held
        return None

    def keep(self, held: Held, now: float) -> None:
        """It was judged: keep it for events that come late, and for those that came while it was read from the store."""
        held.judged = True
        late = self._leave(held.id)
        if late is not None:
            held.entries += late.entries
            self._make_due(held, now)
        elif held.id not in self.due:
            self.judged[held.id] = held
            self._kept += len(held.entries)
        self._bound()

    def wait(self, held: Held) -> None:
        """Its request is not there after all."""
        if held.id not in self.due and held.id not in self.waiting:
            self.waiting[held.id] = held
            self._kept += len(held.entries)
            self._bound()

    def remember(self, id: str) -> None:
        """A request was judged before this server's start."""
        self._forget(id, judged=True)

    def overdue(self, before: float) -> list[Held]:
        """What has waited for its request since `before` (event loop's clock) or earlier. It goes on waiting."""
        return [held for held in self.waiting.values() if held.arrived <= before]

    def events(self) -> int:
        """How many events are held in all."""
        return self._kept

    def clear(self) -> None:
        """Forget all."""
        for place in (self.waiting, self.due, self.judged, self._absent):
            place.clear()
        self._kept = 0

    def _make_due(self, held: Held, now: float) -> None:
        """`held` is in no place; the events that it brings are counted here."""
        if held.id not in self.due:
            held.arrived = now
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
            self._kept -= len(self.due.pop(id).entries)
            self._forget(id, judged=True)
            self.given_up += 1

    def _forget(self, id: str, *, judged: bool) -> None:
        self._absent.pop(id, None)
        self._absent[id] = judged
        while len(self._absent) > ABSENT:
            del self._absent[next(iter(self._absent))]
