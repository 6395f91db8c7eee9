"""`POST /api/ingest`: where SDKs send to. The protocol is in docs/protocol.md."""

from __future__ import annotations

import asyncio
import time

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from brakit_server import ingest
from brakit_server.api import json_of, pipeline_of
from brakit_server.ingest import ACCEPTS, MAX_BYTES, Outcome, Refused
from brakit_server.security import INGEST
from brakit_server.stores import StoreUnavailable

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
    kind, encoding = _body_headers(request.scope["headers"])
    if kind != b"application/json":
        return json_of({"error": "The content type must be application/json"}, 415)
    if encoding not in (b"identity", b"gzip", b""):
        return json_of({"error": "The content encoding must be gzip or none"}, 415)
    if load.bytes > MAX_IN_FLIGHT:
        return busy("The server is busy", 1)
    taken = 0
    try:
        # The first part has the time that the connection gives it; most bodies have no other.
        message = await request.receive()
        body: bytes = message.get("body", b"")
        taken = len(body)
        load.bytes += taken
        if message.get("more_body"):
            whole = bytearray(body)
            async with asyncio.timeout(BODY_SECONDS):
                while message.get("more_body") and len(whole) <= MAX_BYTES:
                    message = await request.receive()
                    chunk = message.get("body", b"")
                    whole += chunk
                    taken += len(chunk)
                    load.bytes += len(chunk)
            body = bytes(whole)
            del whole
        if message["type"] != "http.request":
            raise ClientDisconnect
        if len(body) > MAX_BYTES:
            raise Refused(413, "Payload too large")
        received_at = time.time() * 1000
        outcome = (
            _read(body, encoding, received_at)
            if len(body) <= INLINE_BYTES and encoding != b"gzip"
            else await asyncio.to_thread(_read, body, encoding, received_at)
        )
        del body, message
        await pipeline_of(request).accept(outcome)
    except Refused as refused:
        nothing: dict[str, object] = {"accepted": 0, "rejected": []} if refused.status == 400 else {}
        return json_of({"error": refused.reason, **nothing}, refused.status)
    except (TimeoutError, ClientDisconnect):
        return json_of({"error": "The body did not arrive"}, 408)
    except StoreUnavailable as error:
        return busy(f"The store is unavailable: {error}", 2)
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


def _read(body: bytes, encoding: bytes, received_at: float) -> Outcome:
    return ingest.read(ingest.inflate(body) if encoding == b"gzip" else body, received_at)


def _first_load(request: Request) -> Load:
    request.app.state.load = Load()
    load: Load = request.app.state.load
    return load


def _body_headers(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """Content type without its parameters, and encoding, in lower case."""
    kind, encoding = b"", b"identity"
    for name, value in reversed(headers):
        if name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding":
            encoding = value.strip().lower()
    return kind, encoding


async def _answer(scope: Scope, receive: Receive, send: Send) -> None:
    response = await post(Request(scope, receive))
    await response(scope, receive, send)


class Shortcut:
    """ASGI middleware: SDKs send many times a second, and to look for the route each time would cost more than to read what comes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        direct = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == INGEST
        await (ROUTE.app if direct else self._app)(scope, receive, send)


ROUTE = Route("/ingest", post, methods=["POST"])
ROUTE.app = _answer
ROUTES = [ROUTE]
