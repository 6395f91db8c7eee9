"""`/api/tab`: clients of the reference report here which tab is open. We do not want to know; they get their 204."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def any_method(request: Request) -> Response:  # noqa: ARG001
    """204."""
    return Response(status_code=204)


ROUTES = [Route("/tab", any_method, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])]
