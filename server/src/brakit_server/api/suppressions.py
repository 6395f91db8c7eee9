"""What is ignored and why: `GET /api/suppressions`; `GET /api/baseline` is the file that makes all that is open now known."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import details
from brakit_server.analysis.suppression import FILE, baseline_of
from brakit_server.answers import StatefulIssue
from brakit_server.api import json_of, pipeline_of


async def many(request: Request) -> Response:
    """Most occurrences first; patterns and a baseline that ignore nothing are there too."""
    engine = pipeline_of(request).engine
    engine.suppressions.read()
    ignored = engine.issues("ignored")
    groups: dict[tuple[str, str], details.Suppressed] = {}
    for pattern in engine.suppressions.patterns:
        groups["settings", pattern.text] = details.Suppressed(
            by="settings", what=pattern.text, reason=pattern.reason, issues=[], occurrences=0
        )
    if engine.suppressions.known:
        groups["baseline", FILE] = details.Suppressed(by="baseline", what=FILE, issues=[], occurrences=0)
    for issue in ignored:
        new = _group(issue)
        group = groups.setdefault((new.by, new.what), new)
        group.issues.append(issue.issue_id)
        group.occurrences += issue.occurrences
    return json_of(
        details.SuppressedIssues(
            total=len(ignored),
            occurrences=sum(issue.occurrences for issue in ignored),
            suppressions=sorted(groups.values(), key=lambda group: (-group.occurrences, group.by, group.what)),
            known=len(engine.suppressions.known),
            problem=engine.suppressions.problem,
        )
    )


async def baseline(request: Request) -> Response:
    """Save it as `brakit-baseline.json` in the project's root; it is read again when it changes."""
    return json_of(baseline_of(pipeline_of(request).engine.issues()))


def _group(issue: StatefulIssue) -> details.Suppressed:
    if issue.suppression is not None:
        known = issue.suppression
        return details.Suppressed(by=known.by, what=known.what, reason=known.reason, issues=[], occurrences=0)
    said = next((change for change in reversed(issue.history) if change.state == "ignored" and change.by != "engine"), None)
    by: Literal["agent", "person"] = "agent" if said is not None and said.by == "agent" else "person"
    why = said.why if said is not None else None
    return details.Suppressed(by=by, what=issue.issue_id, reason=why, issues=[], occurrences=0)


ROUTES = [Route("/suppressions", many, methods=["GET"]), Route("/baseline", baseline, methods=["GET"])]
