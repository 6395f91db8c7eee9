"""`GET /api/graph`: endpoints, jobs, tables and hosts, what uses what, and issues; of the last day, or of `since` or `minutes`."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server.analysis.clusters import GROUPINGS, Grouping, around, clusters, inside
from brakit_server.analysis.graph import Seen, graph
from brakit_server.api import json_of, pipeline_of
from brakit_server.api.endpoints import stretch
from brakit_server.records import Job
from brakit_server.stores.rollups import Asked

SAMPLE = 500
"""Requests and jobs whose events are read, those of each endpoint together."""
DAY_MS = 86_400_000.0
NAME = 200
"""Characters of a node's or cluster's id."""


async def get(request: Request) -> Response:
    """`level` is `clusters` or `endpoints`; `node` shows what is around one, `cluster` what is in one; `grouping` is `path`,
    `auth-boundary`, `data-domain` or `service`. What does not exist shows the clusters."""
    pipeline = pipeline_of(request)
    asked = request.query_params
    since, until = stretch(asked)
    if not asked.get("since") and not asked.get("minutes"):
        since = max(0.0, until - DAY_MS)
    told = await pipeline.engine.rollups(Asked(since=since, until=until))
    ids = pipeline.engine.newest(SAMPLE, since, until)
    roots = await pipeline.store.owners(ids)
    events = await pipeline.store.activity(list(roots))
    causes = {root.parent_request_id for root in roots.values() if isinstance(root, Job) and root.parent_request_id}
    above = await pipeline.store.owners(sorted(causes - roots.keys())) if causes - roots.keys() else {}
    known = {id: [stored.entry for stored in entries] for id, entries in events.items()}
    seen = Seen(told.rows, roots | above, known, pipeline.engine.issues(), told.since, until)
    whole = await asyncio.to_thread(graph, seen)
    grouping: Grouping = next((each for each in GROUPINGS if each == asked.get("grouping")), "path")
    node, cluster = (asked.get(name) or "" for name in ("node", "cluster"))
    shown = None
    if asked.get("level") == "endpoints":
        shown = whole
    elif node and len(node) <= NAME:
        shown = around(whole, node)
    elif cluster and len(cluster) <= NAME:
        shown = inside(whole, cluster, grouping)
    return json_of(shown if shown is not None else clusters(whole, grouping))


ROUTES = [Route("/graph", get, methods=["GET"])]
