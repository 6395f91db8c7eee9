"""The same outgoing call again, though the answer was there already."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from brakit.redact import MASK
from brakit_server.analysis.endpoint import target_of
from brakit_server.analysis.finding import Finding, milliseconds, severity_by_cost
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.records import Fetch
from brakit_server.sketch import median

_READS = frozenset({"GET", "HEAD"})


class DuplicateFetch(Rule):
    """*What it finds.* A call that reads (GET, HEAD) and that one request or job makes at least `min_count` times to the same
    URL, with the same status and an answer of the same size, while it changes nothing on that host in between.

    *Why it matters.* Each one is a round trip to another service, for what was known already, and load for that service. Mostly
    it is a configuration, a user or a rate that each layer asks for by itself. Severity follows the cost: see
    `severity_by_cost`.

    *Fix.* Ask once and hand the answer on, or keep it with the request; what changes seldom in a cache with a lifetime.

    *What it leaves alone.* Calls that may change something, repetition after a call that does (POST, PUT, PATCH, DELETE to the
    same host), tries after a failure, polling (`poll_ms` or more from the end of one to the next), calls that run side by side,
    answers that differ in status or size, URLs of which a part is masked, and work after the response.
    """

    title = "Repeated call"
    category = "performance"
    aliases = ("duplicate-call",)
    needs = ("fetches",)

    min_count: int = 2
    poll_ms: float = 200.0
    """Whoever waits so long before asking again wants to see a change."""
    min_ms: float = 1.0
    """What takes less in all came out of a cache of the client's."""

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        if len({fetch.url for fetch in timeline.fetches}) == len(timeline.fetches):
            return
        groups: dict[tuple[str, str], list[Fetch]] = {}
        changes: dict[str, list[float]] = {}
        for fetch in timeline.fetches:
            if fetch.method not in _READS:
                changes.setdefault(_host(fetch), []).append(fetch.timestamp)
            elif not timeline.afterwards(fetch) and MASK not in fetch.url:
                groups.setdefault((fetch.method, fetch.url), []).append(fetch)
        found: dict[str, Finding] = {}
        for group in groups.values():
            if len(group) < self.min_count:
                continue
            same = max(self._runs(group, changes.get(_host(group[0]), [])), key=len, default=[])
            cost = (len(same) - 1) * median([fetch.duration_ms for fetch in same]) if same else 0.0
            if len(same) >= self.min_count and cost >= self.min_ms:
                finding = self._finding(timeline, same, cost)
                other = found.get(finding.identity)
                if other is None or (other.cost_ms or 0.0) < cost:
                    found[finding.identity] = finding
        yield from found.values()

    def _runs(self, group: list[Fetch], changes: list[float]) -> Iterator[list[Fetch]]:
        """Calls with nothing between them for which to ask again."""
        current: list[Fetch] = []
        place = 0
        for fetch in group:
            if current:
                last = current[-1]
                over = last.timestamp + last.duration_ms
                if fetch.timestamp < over:
                    continue
                while place < len(changes) and changes[place] < last.timestamp:
                    place += 1
                changed = place < len(changes) and changes[place] < fetch.timestamp
                if changed or fetch.timestamp - over >= self.poll_ms or _answer(last) != _answer(fetch):
                    yield current
                    current = []
            if fetch.error is None and 200 <= fetch.status_code < 400:
                current.append(fetch)
        yield current

    def _finding(self, timeline: Timeline, same: list[Fetch], cost: float) -> Finding:
        first = same[0]
        target = target_of(first)
        sites = {(s.file, s.line, s.function) for fetch in same if (s := fetch.call_site) is not None}
        places = ", ".join(f"{file}:{line} in {function}" for file, line, function in sorted(sites)[:5])
        return self.finding(
            timeline,
            severity=severity_by_cost(cost, timeline.duration_ms),
            title=f"Repeated call of {target}",
            desc=f"{timeline.endpoint} makes the same call {target} {len(same)} times in one {timeline.unit}: {milliseconds(cost)} for"
            " what was known already.",
            hint="Ask once and hand the answer on, or keep it with the request; what changes seldom in a cache with a lifetime.",
            detail=f"It is made at {places}." if places else None,
            subject=target,
            call_site=same[-1].call_site,
            cost_ms=cost,
            confidence="likely",
        )


def _host(fetch: Fetch) -> str:
    return fetch.url.partition("://")[2].partition("/")[0]


def _answer(fetch: Fetch) -> tuple[int, int | None]:
    return fetch.status_code, fetch.response_size
