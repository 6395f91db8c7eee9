"""`POST /api/clear`: delete all that was captured."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server.api import json_of, pipeline_of


async def post(request: Request) -> Response:
    """Events, issues and figures; nothing of them stays on the disk."""
    await pipeline_of(request).clear()
    return json_of({"cleared": True})


ROUTES = [Route("/clear", post, methods=["POST"])]
