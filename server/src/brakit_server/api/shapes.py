"""`GET /api/shapes`: queries by shape, most total time first."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import answers
from brakit_server.api import json_of, pipeline_of, where_of

MOST = 200


async def many(request: Request) -> Response:
    """At most 200."""
    found = await pipeline_of(request).store.query_shapes(where_of(request, MOST))
    return json_of(answers.QueryShapes(total=len(found), shapes=found))


ROUTES = [Route("/shapes", many, methods=["GET"])]
