"""What changed in an endpoint: the newest processes against those before, and the newest git revision against the one before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from brakit_server.analysis import schemas
from brakit_server.answers import Run
from brakit_server.details import Comparison, EndpointChanges, Side
from brakit_server.stores.rollups import Rollup, RollupKey, endpoint_id

QUERIES = 0.5
"""A request makes so many queries more or less."""
FACTOR = 1.25
FLOOR_MS = 5.0
ENOUGH = 5
"""Requests on both sides, from which on their times are compared; a change takes the factor and the milliseconds."""
ERRORS = 0.05
"""Share of requests that fail more or less."""

Place = tuple[str, str | None, str]
"""Kind, service and endpoint."""
Generation = tuple[str, ...]
"""Processes of one service that ran side by side."""
Shapes = Mapping[tuple[Place, str], Sequence[schemas.Shape]]
"""Of some answers, by place and process."""


def generations(runs: Iterable[Run]) -> dict[str, list[Generation]]:
    """Of each service, newest first. Processes of one revision whose times overlap are one generation."""
    found: dict[str, list[list[Run]]] = {}
    for run in sorted(runs, key=_began):
        groups = found.setdefault(run.service, [])
        last = groups[-1] if groups else []
        together = last and _began(run) < max(each.last_seen_at for each in last) and run.revision == last[0].revision
        if together:
            last.append(run)
        else:
            groups.append([run])
    return {service: [tuple(run.run for run in group) for group in reversed(groups)] for service, groups in found.items()}


def changes(rows: Iterable[tuple[RollupKey, Rollup]], runs: Sequence[Run], shapes: Shapes) -> list[EndpointChanges]:
    """Every endpoint that has something to be compared with, changed ones first. `rows` are by endpoint and run."""
    places: dict[Place, dict[str, tuple[str | None, Rollup]]] = {}
    for key, sums in rows:
        if sums.count and key.kind != "noise":
            places.setdefault((key.kind, key.service, key.endpoint), {})[key.run] = (key.revision, sums)
    order = generations(runs)
    known = {run.run: run for run in runs}
    found = []
    for place, by_run in places.items():
        present = [group for group in ([run for run in each if run in by_run] for each in order.get(place[1] or "", ())) if group]
        if len(present) < 2:
            continue
        by_revision = _by_revision(present, by_run)
        found.append(
            EndpointChanges(
                id=endpoint_id(*place),
                kind=place[0],
                service=place[1],
                endpoint=place[2],
                run=_compare(place, present[1], present[0], by_run, known, shapes),
                revision=_compare(place, by_revision[1], by_revision[0], by_run, known, shapes) if len(by_revision) > 1 else None,
            )
        )
    found.sort(key=lambda each: (not _changed(each), each.endpoint, each.service or ""))
    return found


def _began(run: Run) -> float:
    return run.started or run.first_seen_at


def _changed(found: EndpointChanges) -> int:
    return len(found.run.changed) + (len(found.revision.changed) if found.revision is not None else 0)


def _by_revision(groups: list[list[str]], by_run: Mapping[str, tuple[str | None, Rollup]]) -> list[list[str]]:
    """Processes of the newest revision, of the one before, and so on; a revision that comes back begins anew."""
    found: list[list[str]] = []
    newest: str | None = None
    for group in groups:
        revision = by_run[group[0]][0]
        if revision is None:
            continue
        if found and revision == newest:
            found[-1] += group
        else:
            found.append(list(group))
            newest = revision
    return found


def _compare(
    place: Place,
    before: list[str],
    after: list[str],
    by_run: Mapping[str, tuple[str | None, Rollup]],
    known: Mapping[str, Run],
    shapes: Shapes,
) -> Comparison:
    sides = [_side(runs, by_run, known) for runs in (before, after)]
    samples = [[shape for run in runs for shape in shapes.get((place, run), ())] for runs in (before, after)]
    shape = schemas.changes(samples[0], samples[1]) if all(samples) else None
    was, now = sides
    changed: list[Literal["queries", "time", "errors", "shape"]] = []
    if abs(now.avg_queries - was.avg_queries) >= QUERIES:
        changed.append("queries")
    low, high = sorted((was.p50_ms, now.p50_ms))
    if min(was.requests, now.requests) >= ENOUGH and high - low >= FLOOR_MS and high >= low * FACTOR:
        changed.append("time")
    if abs(now.error_rate - was.error_rate) >= ERRORS:
        changed.append("errors")
    if shape:
        changed.append("shape")
    return Comparison(before=was, after=now, changed=changed, shape=shape)


def _side(runs: list[str], by_run: Mapping[str, tuple[str | None, Rollup]], known: Mapping[str, Run]) -> Side:
    whole = Rollup()
    for run in runs:
        whole.add(by_run[run][1])
    return Side(
        runs=runs,
        revision=by_run[runs[0]][0],
        last_seen_at=max((known[run].last_seen_at for run in runs if run in known), default=0.0),
        requests=whole.count,
        avg_queries=whole.queries / whole.count,
        p50_ms=whole.durations.quantile(0.5),
        p95_ms=whole.durations.quantile(0.95),
        error_rate=whole.errors / whole.count,
    )
