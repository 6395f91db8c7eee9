"""`GET /api/flows`: requests grouped by what the person did, newest first."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import details
from brakit_server.analysis.flows import flows
from brakit_server.api import json_of, pipeline_of, where_of

MOST = 500
"""Requests that are grouped."""


async def many(request: Request) -> Response:
    """Over the newest requests that match."""
    page = await pipeline_of(request).store.requests(where_of(request, MOST))
    found = await asyncio.to_thread(flows, page.entries)
    return json_of(details.Flows(total=len(found), flows=found))


ROUTES = [Route("/flows", many, methods=["GET"])]
