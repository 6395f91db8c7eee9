"""`Timeline`: what a rule sees of one request and its events."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from brakit_server.analysis.endpoint import key_of
from brakit_server.analysis.shape import shape_key
from brakit_server.records import Entry, Error, Fetch, Query, Request


class Timeline:
    """One request with its events by start time; or, with `request` None, events that no request owns.

    Neither the order in which the events arrived nor an event that arrived twice shows anywhere.
    """

    def __init__(self, request: Request | None, entries: Iterable[Entry]) -> None:
        self.request = request
        once = {(type(entry), entry.id): entry for entry in entries}
        self.entries: list[Entry] = sorted(once.values(), key=lambda entry: (entry.timestamp, entry.id))
        self.endpoint = key_of(request) if request is not None else None

    @property
    def service(self) -> str | None:
        """The service that answered; outside a request, that of the first event."""
        if self.request is not None:
            return self.request.service
        return self.entries[0].service if self.entries else None

    @property
    def duration_ms(self) -> float:
        """Of the request; 0 where there is none."""
        return self.request.duration_ms if self.request is not None else 0.0

    @cached_property
    def queries(self) -> list[Query]:
        """Statements of the app's; what begins and ends a transaction is none."""
        return [entry for entry in self.entries if isinstance(entry, Query) and entry.transaction_mark is None]

    @cached_property
    def marks(self) -> list[Query]:
        """What begins and ends transactions and their savepoints."""
        return [entry for entry in self.entries if isinstance(entry, Query) and entry.transaction_mark is not None]

    @cached_property
    def fetches(self) -> list[Fetch]:
        return [entry for entry in self.entries if isinstance(entry, Fetch)]

    @cached_property
    def errors(self) -> list[Error]:
        return [entry for entry in self.entries if isinstance(entry, Error)]

    @cached_property
    def by_shape(self) -> dict[str, list[Query]]:
        """Queries by shape, in the order of their first appearance."""
        groups: dict[str, list[Query]] = {}
        for query in self.queries:
            groups.setdefault(shape_key(query), []).append(query)
        return groups

    def evidence(self) -> tuple[str, ...]:
        """The id of the request; outside one, those of the events, newest first."""
        if self.request is not None:
            return (self.request.id,)
        return tuple(entry.id for entry in reversed(self.entries))


def busy_ms(timeline: Timeline, events: Iterable[Query] | Iterable[Fetch]) -> float:
    """Milliseconds of the request in which at least one of `events` (sorted by start) was in flight.

    Concurrent events count once; events that began after the response was out (background tasks) do not count.
    """
    request = timeline.request
    end = request.timestamp + request.duration_ms if request is not None else float("inf")
    total = 0.0
    reached = float("-inf")
    for event in events:
        if event.timestamp > end:
            continue
        start = max(event.timestamp, reached)
        reached = max(reached, event.timestamp + took_ms(event))
        total += max(0.0, reached - start)
    return min(total, request.duration_ms) if request is not None else total


def took_ms(event: Query | Fetch) -> float:
    """Milliseconds of a query, the reading of its rows included, or of a fetch."""
    return event.duration_ms + ((event.fetch_ms or 0.0) if isinstance(event, Query) else 0.0)
