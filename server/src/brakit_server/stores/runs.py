"""What is known of a process, batch by batch."""

from __future__ import annotations

from brakit_server.answers import Run
from brakit_server.stores import Resource

REASONS = 64
"""Reasons for dropped events that are told apart."""


def seen_again(known: Run | None, resource: Resource, events: int, dropped: dict[str, int], now: float) -> Run:
    """The run with what a batch adds to it; what the batch does not say stays as it was."""
    run = known or Run(run=resource.run, service=resource.service, first_seen_at=now, last_seen_at=now, events=0)
    totals = dict(run.dropped)
    for reason, count in dropped.items():
        if reason in totals or len(totals) < REASONS:
            totals[reason] = totals.get(reason, 0) + count
    return Run(
        run=run.run,
        service=resource.service,
        host=resource.host or run.host,
        pid=resource.pid or run.pid,
        started=resource.started or run.started,
        runtime=resource.runtime or run.runtime,
        framework=resource.framework or run.framework,
        sdk=resource.sdk or run.sdk,
        root=resource.root or run.root,
        revision=resource.revision or run.revision,
        instrumentations=resource.instrumentations or run.instrumentations,
        failures=resource.failures or run.failures,
        first_seen_at=run.first_seen_at,
        last_seen_at=max(now, run.last_seen_at),
        events=run.events + events,
        dropped=totals,
    )
