"""`GET /api/changes`: what changed in each endpoint since the last run, and since the last git revision."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import details, records
from brakit_server.analysis.body import Body
from brakit_server.analysis.changes import Place, changes
from brakit_server.analysis.endpoint import key_of
from brakit_server.analysis.schemas import Shape, shape_of
from brakit_server.api import json_of, moment, pipeline_of
from brakit_server.stores.rollups import Asked

MONTH_MS = 30 * 86_400_000.0
SAMPLE = 500
"""Answers that are read for their shapes, those of all endpoints together."""
ANSWERS = 5
"""Of one endpoint in one process."""


async def get(request: Request) -> Response:
    """Filters: `service`, `endpoint`; `since` is 30 days ago by default. Changed ones first; those without anything to be compared with
    are left out."""
    pipeline = pipeline_of(request)
    asked = request.query_params
    now = pipeline.engine.now()
    since = moment(asked.get("since"))
    since = now - MONTH_MS if since is None else since
    service, endpoint = asked.get("service") or None, asked.get("endpoint") or None
    told = await pipeline.engine.rollups(
        Asked(since=since, until=now, service=service, endpoint=endpoint, by=("endpoint", "run"))
    )
    ids = pipeline.engine.newest(SAMPLE, since, now, ANSWERS, endpoint)
    roots = [root for root in (await pipeline.store.owners(ids)).values() if isinstance(root, records.Request)]
    shapes = await asyncio.to_thread(_shapes, roots)
    found = changes(told.rows, await pipeline.store.runs(), shapes)
    return json_of(details.Changes(since=told.since, total=len(found), endpoints=found))


def _shapes(requests: list[records.Request]) -> dict[tuple[Place, str], list[Shape]]:
    found: dict[tuple[Place, str], list[Shape]] = {}
    for request in requests:
        body = Body(request.response_body, request.response_headers)
        if request.status_code < 300 and body.json is not None:
            place: Place = ("request", request.service, key_of(request))
            found.setdefault((place, request.run or ""), []).append(shape_of(body.json))
    return found


ROUTES = [Route("/changes", get, methods=["GET"])]
