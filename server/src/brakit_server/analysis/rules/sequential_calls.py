"""Calls to other services, one after the other, that could run at the same time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

from brakit.redact import MASK
from brakit_server.analysis.endpoint import target_of, templated
from brakit_server.analysis.finding import Finding, milliseconds, severity_by_cost, share
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Severity
from brakit_server.records import Fetch

_READS = frozenset({"GET", "HEAD"})

_PAGING = re.compile(
    r"page\w*|\w*cursor\w*|offset|skip|start\w*|after|before|since|from|until|next\w*|\w*token|continuation|marker|seq\w*|batch|bookmark",
    re.IGNORECASE,
)
"""Names of parameters that say where to go on: their value came with the answer before."""

_WORD = re.compile(r"[\w.~-]+")

LOOP = 3
"""Calls to one place that differ in their values only are a loop over what was known before, not a chain from one to the next."""

_LONGEST = 4_000
"""Characters of a URL that are looked at."""


class SequentialCalls(Rule):
    """*What it finds.* Calls that read (GET, HEAD), each `min_ms` or longer, that one request or job makes from the same
    function one right after the other (`max_gap_ms` at most between them), when making them at the same time would save
    `min_saving_ms` and `min_saving_share` of it. Whether one needs the answer of another cannot be seen: calls with a value
    (an id, a parameter) that neither the incoming request nor the first of them had are left out unless three and more to
    one place differ in it, and the finding says "possible".

    *Why it matters.* The user waits for the sum of all where the longest would do.

    *Fix.* `asyncio.gather` or a task group in async code, a thread pool (`concurrent.futures`) in code that blocks. Many calls
    of one kind: one call for all of them, where the other service has it.

    *What it leaves alone.* Calls that may change something, failed ones and what follows them, pages of one list, the same call
    again (that is `duplicate-fetch`), calls after the response, short ones, and those with something else in between.
    """

    title = "Calls one after the other"
    category = "performance"
    needs = ("fetches",)

    min_ms: float = 20.0
    max_gap_ms: float = 20.0
    """More than that between two calls is work on the answer of the first."""
    min_saving_ms: float = 100.0
    min_saving_share: float = 0.10

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        if len(timeline.fetches) < 2:
            return
        best: dict[str, tuple[float, Finding]] = {}
        known = _known(timeline)
        for run in self._runs(timeline):
            calls = _independent(run, known)
            saving = _saving(calls)
            if saving < self.min_saving_ms or saving < self.min_saving_share * timeline.duration_ms:
                continue
            finding = self._finding(timeline, calls, saving)
            if best.get(finding.identity, (0.0, finding))[0] < saving:
                best[finding.identity] = (saving, finding)
        yield from (finding for _, finding in best.values())

    def _runs(self, timeline: Timeline) -> Iterator[list[Fetch]]:
        """Neighbours among all events that take time, from one function and inside one span."""
        current: list[Fetch] = []
        for entry in timeline.io:
            if not isinstance(entry, Fetch) or not self._fits(timeline, entry):
                yield current
                current = []
            elif current and self._follows(entry, current[-1]):
                current.append(entry)
            else:
                yield current
                current = [entry]
        yield current

    def _fits(self, timeline: Timeline, call: Fetch) -> bool:
        answered = call.error is None and 200 <= call.status_code < 300
        alone = call.method in _READS and call.duration_ms >= self.min_ms and MASK not in call.url
        return alone and answered and not timeline.afterwards(call)

    def _follows(self, call: Fetch, last: Fetch) -> bool:
        gap = call.timestamp - last.timestamp - last.duration_ms
        return 0 <= gap <= self.max_gap_ms and call.parent_id == last.parent_id and _function(call) == _function(last)

    def _finding(self, timeline: Timeline, calls: list[Fetch], saving: float) -> Finding:
        site = calls[0].call_site
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        targets = list(dict.fromkeys(target_of(call) for call in calls))
        named = ", ".join(targets[:3]) + (f" and {len(targets) - 3} more" if len(targets) > 3 else "")
        severity: Severity = severity_by_cost(saving, timeline.duration_ms)
        total = sum(call.duration_ms for call in calls)
        return self.finding(
            timeline,
            severity="warning" if severity == "critical" else severity,
            title="Calls one after the other",
            desc=f"{timeline.endpoint} makes {len(calls)} calls one after the other{where} ({named}): {milliseconds(total)}. Made at"
            f" the same time they would take {milliseconds(total - saving)}: {milliseconds(saving)} less,"
            f" {share(saving, timeline.duration_ms)} of the {timeline.unit}.",
            hint="If none needs the answer of another: asyncio.gather or a task group, a thread pool in code that blocks"
            + ("; or one call for all of them, where the other service has it." if len(targets) == 1 else "."),
            subject=f"{site.file}:{site.function}" if site else " ".join(targets[:5]),
            call_site=site,
            cost_ms=saving,
            confidence="possible",
        )


def _function(fetch: Fetch) -> tuple[str, str] | None:
    return (fetch.call_site.file, fetch.call_site.function) if fetch.call_site is not None else None


def _known(timeline: Timeline) -> frozenset[str]:
    """Words of the incoming request: values of calls that are among them need no other call."""
    request = timeline.request
    return frozenset(_WORD.findall(f"{request.url}\n{request.request_body or ''}")) if request is not None else frozenset()


def _independent(run: list[Fetch], known: frozenset[str]) -> list[Fetch]:
    """Those of the calls of which nothing says that they need the answer of one before; of several such sets, the dearest."""
    if len(run) < 2:
        return []
    free: list[Fetch] = []
    alike: dict[str, list[Fetch]] = {}
    seen: set[str] = set()
    for call in run:
        target, values, paging = _read(call.url[:_LONGEST])
        if call.url in seen or paging:
            continue
        seen.add(call.url)
        alike.setdefault(target, []).append(call)
        if call is run[0]:
            # What it was made with was there before any of these answers.
            known = known.union(values)
            free.append(call)
        elif all(value in known for value in values):
            free.append(call)
    sets = [free, *(calls for calls in alike.values() if len(calls) >= LOOP)]
    return max(sets, key=_saving)


def _saving(calls: list[Fetch]) -> float:
    return sum(call.duration_ms for call in calls) - max((call.duration_ms for call in calls), default=0.0)


@lru_cache(maxsize=2048)
def _read(url: str) -> tuple[str, tuple[str, ...], bool]:
    """Host and path without ids, the values in a URL (ids in the path, parameters), and whether it asks for a further page."""
    try:
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return url, (), True
    ids = [part for part in parts.path.split("/") if part and templated(part) != part]
    values = (*ids, *(value for _, value in pairs if value))
    return parts.netloc + templated(parts.path), values, any(_PAGING.fullmatch(name) for name, _ in pairs)
