"""`POST /api/ingest`: where SDKs send to. The protocol is in docs/protocol.md."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from brakit_server import ingest
from brakit_server.api import json_of, pipeline_of
from brakit_server.ingest import ACCEPTS, MAX_BYTES, Outcome, Refused

BODY_SECONDS = 5.0
"""How long a body may take to arrive."""

INLINE_BYTES = 64 * 1024
"""Bodies up to this size are read on the event loop; a thread costs more than they do."""

MAX_IN_FLIGHT = 64 * 1024 * 1024
"""Bytes of bodies in memory at a time; beyond, senders are asked to come back."""


class Load:
    """Bytes of bodies that are being read and stored."""

    def __init__(self) -> None:
        self.bytes = 0


async def post(request: Request) -> Response:
    """204 when every event is committed; 400 with the list of those that were refused, the others being committed."""
    state = request.app.state
    load: Load = state.load if hasattr(state, "load") else _first_load(request)
    if not _is_json(request):
        return json_of({"error": "The content type must be application/json"}, 415)
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        return json_of({"error": "The content encoding must be gzip or none"}, 415)
    if load.bytes > MAX_IN_FLIGHT:
        return busy("The server is busy", 1)
    taken = 0
    try:
        body = bytearray()
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                taken += len(chunk)
                load.bytes += len(chunk)
                if len(body) > MAX_BYTES:
                    raise Refused(413, "Payload too large")
        received_at = time.time() * 1000
        outcome = (
            _read(bytes(body), encoding, received_at)
            if len(body) <= INLINE_BYTES and encoding != "gzip"
            else await asyncio.to_thread(_read, bytes(body), encoding, received_at)
        )
        del body
        await pipeline_of(request).accept(outcome)
    except Refused as refused:
        nothing: dict[str, object] = {"accepted": 0, "rejected": []} if refused.status == 400 else {}
        return json_of({"error": refused.reason, **nothing}, refused.status)
    except (TimeoutError, ClientDisconnect):
        return json_of({"error": "The body did not arrive"}, 408)
    finally:
        load.bytes -= taken
    if not outcome.rejected:
        return Response(status_code=204, headers=ACCEPTS)
    first = outcome.rejected[0]
    return json_of(
        {
            "error": f"{outcome.rejected_count} of the events were rejected, the first because {first.path} {first.reason}",
            "accepted": len(outcome.batch.entries),
            "rejected": outcome.rejected,
        },
        400,
    )


def busy(reason: str, seconds: int) -> Response:
    """503, with the time after which to come back."""
    answer = json_of({"error": reason}, 503)
    answer.headers["retry-after"] = str(seconds)
    return answer


def _read(body: bytes, encoding: str, received_at: float) -> Outcome:
    return ingest.read(ingest.inflate(body) if encoding == "gzip" else body, received_at)


def _first_load(request: Request) -> Load:
    request.app.state.load = Load()
    load: Load = request.app.state.load
    return load


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


ROUTES = [Route("/ingest", post, methods=["POST"])]
