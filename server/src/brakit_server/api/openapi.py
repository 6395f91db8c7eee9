"""`GET /api/openapi.json`: this API as OpenAPI 3.1 describes it."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

DESCRIPTION = Path(__file__).with_suffix(".json")


async def get(request: Request) -> Response:  # noqa: ARG001
    """Made from the routes and the types of their answers (`make generate`)."""
    return FileResponse(DESCRIPTION, media_type="application/json")


ROUTES = [Route("/openapi.json", get, methods=["GET"])]
