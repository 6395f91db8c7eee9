"""Sentry's detectors of performance issues, over the events that were recorded here.

Their definitions: https://github.com/getsentry/sentry/tree/master/src/sentry/issue_detection/detectors. A span is a statement, an
outgoing call, or another timed operation; transaction control is none. Redis and opening a connection are left out by theirs too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.comparison.seen import Hit, Seen
from brakit_server.analysis.shape import unified
from brakit_server.analysis.timeline import Timeline
from brakit_server.records import Entry, Fetch, Query, Span

MIN_SPANS = 5
MIN_TOTAL_MS = 50.0
SLOW_MS = 1000.0
PATTERN_LENGTH, PATTERN_REPEATS, PATTERN_SHARE = 8, 3, 0.05
HTTP_SPANS, HTTP_MS, HTTP_GAP_MS, HTTP_SAVING_MS = 3, 500.0, 500.0, 2000.0
PAYLOAD_BYTES, PAYLOAD_MS = 300_000, 100.0


class Sentry(NamedTuple):
    """As it is; with `floor_ms` 0 as it would be if fast databases counted too."""

    floor_ms: float = MIN_TOTAL_MS

    def find(self, seen: Seen) -> set[Hit]:
        """What the detectors say of a case."""
        found: set[Hit] = set()
        for timeline in seen.timelines:
            if timeline.root is not None:
                spans = [entry for entry in timeline.entries if _is_span(entry)]
                found.update(self._n_plus_one(spans, seen))
                found.update(self._patterns(spans, timeline, seen))
                found.update(_slow(timeline))
                found.update(_consecutive_calls(timeline))
                found.update(_large_payload(timeline))
        return found

    def _n_plus_one(self, spans: Sequence[Entry], seen: Seen) -> Iterator[Hit]:
        """A source span of the database, then at least five in a row with one description that is not the source's."""
        start = 0
        while start < len(spans):
            first = spans[start]
            end = start + 1
            while end < len(spans) and _description(spans[end], seen) == _description(first, seen):
                end += 1
            before = spans[start - 1] if start else None
            run = spans[start:end]
            if (
                isinstance(first, Query)
                and isinstance(before, Query)
                and len(run) >= MIN_SPANS
                and sum(span.duration_ms for span in run if isinstance(span, Query)) >= self.floor_ms
            ):
                yield Hit("n1", first.table)
            start = end

    def _patterns(self, spans: Sequence[Entry], timeline: Timeline, seen: Seen) -> Iterator[Hit]:
        """Two to eight different spans that come again in the same order, three times at least."""
        described = [_description(span, seen) for span in spans]
        start = 0
        while start < len(spans):
            step, repeats = _repeated(described, start)
            if not repeats:
                start += 1
                continue
            run = spans[start : start + step * repeats]
            queries = [span for span in run if isinstance(span, Query)]
            took = sum(query.duration_ms for query in queries)
            if queries and took >= self.floor_ms and took >= PATTERN_SHARE * timeline.duration_ms:
                for query in queries[:step]:
                    yield Hit("n1", query.table)
            start += step * repeats


def _repeated(described: Sequence[object], start: int) -> tuple[int, int]:
    """Length and count of the pattern that begins here; 0 repeats where there is none."""
    for step in range(2, PATTERN_LENGTH + 1):
        pattern = described[start : start + step]
        if len(set(pattern)) < 2:
            continue
        repeats = 1
        while described[start + repeats * step : start + (repeats + 1) * step] == pattern:
            repeats += 1
        if repeats >= PATTERN_REPEATS:
            return step, repeats
    return 0, 0


def _is_span(entry: Entry) -> bool:
    if isinstance(entry, Query):
        return entry.transaction_mark is None
    return isinstance(entry, Fetch | Span)


def _description(span: Entry, seen: Seen) -> tuple[str, str]:
    """What their hash is made of: the statement as the driver got it, lists of IN collapsed."""
    if isinstance(span, Query):
        original = seen.originals.get(span.id)
        return "db", original.sql if original is not None and " IN (" not in original.sql else unified(span.sql or "")
    if isinstance(span, Fetch):
        return "http", f"{span.method} {span.url}"
    return "span", span.name if isinstance(span, Span) else ""


def _slow(timeline: Timeline) -> Iterator[Hit]:
    for query in timeline.queries:
        if query.operation == "SELECT" and query.duration_ms >= SLOW_MS:
            yield Hit("slow-query", query.table)


def _consecutive_calls(timeline: Timeline) -> Iterator[Hit]:
    """At least three slow calls one after the other, of which all but the slowest could be saved."""
    run: list[Fetch] = []
    for fetch in [*timeline.fetches, None]:
        ended = run[-1].timestamp + run[-1].duration_ms if run else 0.0
        if fetch is not None and fetch.duration_ms >= HTTP_MS and (not run or 0 <= fetch.timestamp - ended < HTTP_GAP_MS):
            run.append(fetch)
            continue
        times = [each.duration_ms for each in run]
        if len(run) >= HTTP_SPANS and sum(times) - max(times) >= HTTP_SAVING_MS:
            yield Hit("sequential-calls", "")
        run = [fetch] if fetch is not None and fetch.duration_ms >= HTTP_MS else []


def _large_payload(timeline: Timeline) -> Iterator[Hit]:
    """Theirs is about what a page loads; of a backend it sees the outgoing calls."""
    for fetch in timeline.fetches:
        if (fetch.response_size or 0) > PAYLOAD_BYTES and fetch.duration_ms >= PAYLOAD_MS:
            yield Hit("large-response", "")
