"""The same query on most endpoints."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from brakit_server.analysis.finding import EVIDENCE_LIMIT, Finding, milliseconds, severity_by_cost, share
from brakit_server.analysis.rules import Rule
from brakit_server.analysis.shape import of_catalogue
from brakit_server.analysis.shapes import ShapeFigures
from brakit_server.analysis.window import Service, Window

_SESSION = re.compile(r"session|token|migration", re.IGNORECASE)
_LOCK = re.compile(r"\bfor (?:update|share|no key update|key share)\b", re.IGNORECASE)

_NEWEST = 20
"""Requests of an endpoint among which the statement still is, or it is not the code's any more."""

_WINDOWS = 200
"""Endpoints that are compared, those with the newest traffic."""

_SHAPES = 20
"""Statements that are told, those on most endpoints."""


class CrossEndpoint(Rule):
    """*What it finds.* A SELECT that at least `min_endpoints` endpoints of a service run, and at least `min_share` of those that use
    the database at all; executed `min_count` times or more.

    *Why it matters.* What nearly every request asks for (settings, feature flags, the tenant, the current user with all his
    rights) is paid for by every one. Severity follows its share of their time: see `severity_by_cost`.

    *Fix.* What is the same for everybody belongs in the process, with a time after which it is read again (`functools.lru_cache`,
    `cachetools.TTLCache`, Django's cache); what belongs to a user, into the session or token. What only some endpoints use should
    not be asked for by a middleware or dependency of all.

    *What it leaves alone.* Sessions and tokens (they are looked up with every request on purpose), locks, statements without a
    table, the database's own catalogue, jobs, and what the newest requests of an endpoint do not run any more.
    """

    title = "Query on most endpoints"
    category = "performance"

    min_endpoints: int = 3
    min_share: float = 0.5
    min_count: int = 5

    def check_service(self, service: Service) -> Iterable[Finding] | None:
        windows = [window for window in service.requests if window.shapes][-_WINDOWS:]
        if len(windows) < self.min_endpoints:
            return None
        least = max(self.min_endpoints, self.min_share * len(windows))
        seen = Counter(shape for window in windows for shape in window.shapes)
        newest = {id(window): {point.request_id for point in window.points[-_NEWEST:]} for window in windows}
        found = []
        for shape, number in seen.most_common(_SHAPES):
            if number < least:
                break
            places = [(window, window.shapes[shape]) for window in windows if shape in window.shapes]
            places = [
                (window, figures) for window, figures in places if any(one in newest[id(window)] for _, one in figures.recent)
            ]
            if len(places) >= least and sum(figures.count for _, figures in places) >= self.min_count:
                found.append((places, len(windows)))
        return [self._finding(service, *each) for each in found if _fits(each[0][0][1])]

    def _finding(self, service: Service, places: list[tuple[Window, ShapeFigures]], endpoints: int) -> Finding:
        query = places[0][1].last
        requests = sum(figures.requests for _, figures in places)
        mean = sum(figures.ms for _, figures in places) / max(requests, 1)
        durations = [point.duration_ms for window, _ in places[:_NEWEST] for point in window.points[-_NEWEST:]]
        whole = sum(durations) / max(len(durations), 1)
        names = sorted(window.endpoint for window, _ in places)
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        sites = {(site.file, site.function): site for _, figures in places if (site := figures.last.call_site) is not None}
        shared = next(iter(sites.values())) if len(sites) == 1 else None
        where = f" at {shared.file}:{shared.line} in {shared.function}" if shared else ""
        newest = [figures.recent[-1][1] for _, figures in places if figures.recent]
        constant = "?" not in (query.shape or query.sql or "?")
        return self.finding(
            service,
            severity=severity_by_cost(mean, whole),
            title=f"Query on most endpoints: SELECT on {query.table}",
            desc=f"{len(places)} of {endpoints} endpoints run the same SELECT on {query.table}{where}: {milliseconds(mean)} a request"
            f" ({share(mean, whole)}).",
            hint="What is the same for everybody belongs in the process, with a time after which it is read again; what belongs to a"
            " user, into the session or token.",
            detail=f"It is run by {', '.join(names[:5])}{more}.",
            subject=query.shape_hash or query.table,
            call_site=shared,
            evidence=newest[:EVIDENCE_LIMIT],
            cost_ms=mean,
            sql=query.sql,
            confidence="likely" if constant else "possible",
        )


def _fits(figures: ShapeFigures) -> bool:
    query = figures.last
    if query.operation != "SELECT" or not query.table or _SESSION.search(query.table):
        return False
    return _readable(query.shape or query.sql or "")


@lru_cache(maxsize=2048)
def _readable(sql: str) -> bool:
    return not _LOCK.search(sql[:20_000]) and not of_catalogue(sql)
