"""`GET /api/fetches`: outgoing HTTP calls, newest first."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import answers
from brakit_server.api import json_of, pipeline_of, where_of

MOST = 1000


async def many(request: Request) -> Response:
    """One page."""
    page = await pipeline_of(request).store.fetches(where_of(request, MOST))
    return json_of(
        answers.Fetches(total=page.total, entries=page.entries, next=page.next, complete=page.complete, at_least=page.at_least)
    )


ROUTES = [Route("/fetches", many, methods=["GET"])]
