"""`GET /api/errors` and `GET /api/errors/groups`: exceptions, one by one and by class and place, newest first."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import answers
from brakit_server.api import json_of, pipeline_of, where_of

MOST = 1000
GROUPS = 200


async def many(request: Request) -> Response:
    """One page."""
    page = await pipeline_of(request).store.errors(where_of(request, MOST))
    return json_of(
        answers.Errors(total=page.total, entries=page.entries, next=page.next, complete=page.complete, at_least=page.at_least)
    )


async def groups(request: Request) -> Response:
    """By class and innermost own frame."""
    found = await pipeline_of(request).store.error_groups(where_of(request, GROUPS))
    return json_of(answers.ErrorGroups(total=len(found), groups=found))


ROUTES = [Route("/errors", many, methods=["GET"]), Route("/errors/groups", groups, methods=["GET"])]
