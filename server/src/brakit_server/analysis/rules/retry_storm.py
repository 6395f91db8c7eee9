"""The same failing call, tried again and again without a pause."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from brakit_server.analysis.endpoint import target_of
from brakit_server.analysis.finding import Finding, milliseconds, share
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.timeline import Timeline
from brakit_server.answers import Severity
from brakit_server.records import Fetch
from brakit_server.sketch import median

_SAME = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""Methods of which two calls with one URL are the same call; two POSTs may send different things."""

_FAILED = frozenset({0, 408, 425, 429})


class RetryStorm(Rule):
    """*What it finds.* A call (GET, HEAD, PUT, DELETE, OPTIONS) to one URL that fails (no answer, 408, 425, 429, 5xx) and is
    tried again by the same request or job, `min_attempts` times and more in a row, with less than `pause_ms` between the
    tries (the median).

    *Why it matters.* The other service is in trouble or has asked for patience. Trying again at once makes its trouble worse,
    with every user of this endpoint at the same time, and mostly fails as well; meanwhile the user waits.

    *Fix.* Few tries, with a pause that grows and has chance in it (exponential back-off with jitter: `tenacity`,
    `urllib3.Retry` with a `backoff_factor`), `Retry-After` where it is sent, and an answer without that service when it does
    not help.

    *What it leaves alone.* Fewer tries, tries with pauses, calls to different URLs that all fail, POST and PATCH (two of them
    may send different things), and retries inside of a library, which are one call.
    """

    title = "Retry storm"
    category = "reliability"
    needs = ("fetches",)

    min_attempts: int = 5
    """Three tries in all are what most libraries do by default."""
    pause_ms: float = 50.0
    critical_attempts: int = 20

    def check(self, timeline: Timeline) -> Iterable[Finding]:
        if len(timeline.fetches) - len({fetch.url for fetch in timeline.fetches}) < self.min_attempts - 1:
            return
        groups: dict[tuple[str, str], list[Fetch]] = {}
        for fetch in timeline.fetches:
            if fetch.method in _SAME:
                groups.setdefault((fetch.method, fetch.url), []).append(fetch)
        found: dict[str, tuple[int, Finding]] = {}
        for group in groups.values():
            tries = max(_runs(group), key=len, default=[])
            if len(tries) < self.min_attempts:
                continue
            pause = median([later.timestamp - _over(first) for first, later in pairwise(tries)])
            if pause < self.pause_ms:
                finding = self._finding(timeline, tries)
                if found.get(finding.identity, (0, finding))[0] < len(tries):
                    found[finding.identity] = (len(tries), finding)
        yield from (finding for _, finding in found.values())

    def _finding(self, timeline: Timeline, tries: list[Fetch]) -> Finding:
        target = target_of(tries[0])
        lost = _over(tries[-1]) - tries[0].timestamp
        site = tries[-1].call_site
        where = f" at {site.file}:{site.line} in {site.function}" if site else ""
        severity: Severity = "critical" if len(tries) >= self.critical_attempts else "warning"
        reasons = sorted({str(fetch.status_code) if fetch.status_code else "no answer" for fetch in tries})
        return self.finding(
            timeline,
            severity=severity,
            title=f"Retry storm on {target}",
            desc=f"{timeline.endpoint} tries {target} {len(tries)} times in a row{where} without a pause, and fails"
            f" ({', '.join(reasons)}): {milliseconds(lost)}, {share(lost, timeline.duration_ms)} of the {timeline.unit}.",
            hint="Try few times, with a pause that grows and has chance in it, and heed Retry-After.",
            subject=target,
            call_site=site,
            cost_ms=lost,
        )


def _over(fetch: Fetch) -> float:
    return fetch.timestamp + fetch.duration_ms


def _failed(fetch: Fetch) -> bool:
    return fetch.status_code in _FAILED or fetch.status_code >= 500


def _runs(group: list[Fetch]) -> Iterator[list[Fetch]]:
    """Failures that follow each other; what runs beside another one is no try after it."""
    current: list[Fetch] = []
    for fetch in group:
        if not _failed(fetch):
            yield current
            current = []
        elif not current or fetch.timestamp >= _over(current[-1]):
            current.append(fetch)
    yield current
