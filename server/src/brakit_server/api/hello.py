"""`GET /api/hello`: by this an SDK knows that the port belongs to the server that its project's data folder names."""

from __future__ import annotations

import hmac
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import brakit_server
from brakit_server.api import json_of, pipeline_of
from brakit_server.ingest import ACCEPTS


async def get(request: Request) -> Response:
    """`proof`: HMAC-SHA256 of `challenge` (up to 128 hex digits) under the nonce of `server.json`."""
    answer: dict[str, object] = {"brakit": True, "version": brakit_server.__version__}
    challenge = request.query_params.get("challenge", "")
    nonce = pipeline_of(request).nonce
    if nonce and re.fullmatch(r"[0-9a-fA-F]{1,128}", challenge):
        answer["proof"] = hmac.digest(nonce.encode("ascii"), challenge.encode("ascii"), "sha256").hex()
    response = json_of(answer)
    response.headers.update(ACCEPTS)
    return response


ROUTES = [Route("/hello", get, methods=["GET"])]
