"""Endpoints that got worse with the newest run: slower, or with more statements."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from brakit_server.analysis.finding import EVIDENCE_LIMIT, Finding, milliseconds
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.window import RunFigures, Window
from brakit_server.answers import Severity
from brakit_server.sketch import quantile

RUNS = 3
"""Earlier runs that the present one is compared with, where no git revision tells which was before the change."""


class Regression(Rule):
    """*What it finds.* Endpoints and jobs that are worse in the present run of their service than before the last change: in
    the newest run of the git revision before this one; where revisions are unknown or the same, in one of the last three
    runs. Slower: the 95th percentile is `factor` times as long and `min_ms_over` longer, and a rank test (Mann-Whitney, at
    least `min_samples` requests on both sides) says that chance does it in fewer than `chance` of cases. More statements:
    nearly every successful request runs at least `min_queries_over` and `queries_factor` times as many as nearly every one
    did before.

    *Why it matters.* What got worse with a change is cheapest to repair while the change is fresh. `slow` says where the time
    goes; this says since when.

    *Fix.* Compare a request of now with one of before, statement by statement: what is there twice, or new?

    *What it leaves alone.* The first request of each run (imports, connections), refused requests and streams, runs with fewer
    requests than the test needs, numbers of statements that vary from request to request, processes that run side by side,
    health checks and static files.
    """

    title = "Regression"
    category = "performance"

    factor: float = 1.5
    """The reference's: half as much again."""
    min_ms_over: float = 50.0
    min_samples: int = 8
    """Below, the test's normal approximation is no good."""
    chance: float = 0.01
    queries_factor: float = 1.5
    min_queries_over: int = 3
    min_requests: int = 3
    """Of each run, for its numbers of statements."""
    nearly_all: float = 0.9

    def check_endpoint(self, window: Window) -> Iterable[Finding] | None:
        present = window.present
        before = window.other_revision()[:1] or window.earlier()[:RUNS]
        if present is None or not before:
            return None
        slower = self._slower(window, present, before)
        queries = self._queries(window, present, before)
        if slower is None and queries is None:
            return None
        return [*(slower or ()), *(queries or ())]

    def _slower(self, window: Window, present: RunFigures, before: Sequence[RunFigures]) -> list[Finding] | None:
        enough = [run for run in before if len(run.sample) >= self.min_samples]
        if not enough or len(present.sample) < self.min_samples:
            return None
        newest = list(present.sample)
        now = quantile(newest, 0.95)
        for run in enough:
            sample = list(run.sample)
            then = quantile(sample, 0.95)
            if now < self.factor * then or now - then < self.min_ms_over or p_greater(newest, sample) >= self.chance:
                continue
            severity: Severity = "critical" if now >= 4 * self.factor * then else "warning"
            desc = (
                f"{window.endpoint} got slower: 95 % of {window.unit}s took up to {milliseconds(then)} {_when(present, run)},"
                f" now {milliseconds(now)} ({len(sample)} and {len(newest)} {window.unit}s)."
            )
            return [self._finding(window, present, severity, "Slower than before", desc, "duration", now - then)]
        return []

    def _queries(self, window: Window, present: RunFigures, before: Sequence[RunFigures]) -> list[Finding] | None:
        enough = [run for run in before if sum(run.counts.values()) >= self.min_requests]
        total = sum(present.counts.values())
        if not enough or total < self.min_requests:
            return None
        now = present.usual_queries or 0
        for run in enough:
            then = run.usual_queries or 0
            least = max(then + self.min_queries_over, math.ceil(self.queries_factor * then))
            more = sum(count for queries, count in present.counts.items() if queries >= least)
            as_many = sum(count for queries, count in run.counts.items() if queries >= least)
            if more < self.nearly_all * total or as_many > (1 - self.nearly_all) * sum(run.counts.values()):
                continue
            severity: Severity = "warning" if now >= 4 * max(then, 1) or now - then >= 10 else "info"
            desc = (
                f"{window.endpoint} runs {now} statements a {window.unit}; {_when(present, run)} it was {then}"
                f" ({sum(run.counts.values())} and {total} {window.unit}s)."
            )
            return [self._finding(window, present, severity, "More statements than before", desc, "queries", None)]
        return []

    def _finding(
        self, window: Window, present: RunFigures, severity: Severity, title: str, desc: str, subject: str, cost_ms: float | None
    ) -> Finding:
        shown = [point.request_id for point in reversed(window.points) if point.run == present.run and not point.cold]
        newest = [point.request_id for point in window.points[-1:]]
        return self.finding(
            window,
            severity=severity,
            title=title,
            desc=desc,
            hint=f"Compare a {window.unit} of this run with one of before: what is new, what is there more often?",
            subject=subject,
            evidence=(shown or newest)[:EVIDENCE_LIMIT],
            cost_ms=cost_ms,
        )


def _when(present: RunFigures, run: RunFigures) -> str:
    if run.revision is not None and present.revision is not None and run.revision != present.revision:
        return f"in revision {run.revision[:10]}"
    return "in an earlier run"


def p_greater(these: Sequence[float], those: Sequence[float]) -> float:
    """How likely `these` are, by chance alone, to lie so far above `those`: Mann-Whitney's U test, one-sided, by the normal
    approximation with the correction for ties (https://doi.org/10.1214/aoms/1177730491)."""
    ranked = sorted([(value, True) for value in these] + [(value, False) for value in those])
    n, m = len(these), len(those)
    ranks, ties, at = 0.0, 0.0, 0
    while at < n + m:
        end = at
        while end < n + m and ranked[end][0] == ranked[at][0]:
            end += 1
        size = end - at
        ranks += sum(1 for _, ours in ranked[at:end] if ours) * (at + 1 + end) / 2
        ties += size**3 - size
        at = end
    spread = n * m / 12 * ((n + m + 1) - ties / ((n + m) * (n + m - 1)))
    if spread <= 0:
        return 1.0
    u = ranks - n * (n + 1) / 2
    return 0.5 * math.erfc((u - n * m / 2 - 0.5) / math.sqrt(2 * spread))
