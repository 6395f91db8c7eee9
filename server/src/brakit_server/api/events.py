"""`GET /api/events`: what happens, as server-sent events. Resumes behind `Last-Event-ID`."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from brakit_server.api import json_of, pipeline_of
from brakit_server.connections import CUT
from brakit_server.filters import parse
from brakit_server.stores import StoreUnavailable
from brakit_server.stream import Client, Stream, apart, together

HEARTBEAT_SECONDS = 20.0
SEND_SECONDS = 10.0
"""How long a client may take to read one chunk."""

HURRY_SECONDS = 0.3
"""The same, once the stream is to end."""

RETRY_MS = 1000


async def get(request: Request) -> Response:
    """Those that fit `filter`; with `batch=1` many in one message, twenty times a second at most. 503 when 100 streams are open."""
    stream = pipeline_of(request).stream
    wanted = parse(request.query_params.get("filter") or "")
    place = request.headers.get("last-event-id") or request.query_params.get("lastEventId")
    client = stream.connect(place, wanted, together if request.query_params.get("batch") == "1" else apart)
    if client is None:
        answer = json_of({"error": "Too many streams are open"}, 503)
        answer.headers["retry-after"] = "10"
        return answer
    return Events(stream, client)


class Events(Response):
    """Sends until the client goes, is too slow, or the server stops."""

    media_type = "text/event-stream"

    def __init__(self, stream: Stream, client: Client) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._stream = stream
        self._client = client
        self._limit: asyncio.Timeout | None = None
        client.on_close = self._hurry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(self._gone(receive))
        try:
            await self._send(send, {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await self._send(send, _body(b":ok\nretry: %d\n\n" % RETRY_MS))
            while (chunk := await self._client.next(HEARTBEAT_SECONDS)) is not None:
                await self._send(send, _body(chunk))
            await self._send(send, _body(b"", more=False))
        except (TimeoutError, StoreUnavailable, OSError):
            # It does not read, it is gone, or there is nothing to be read from the store: it will come back.
            if (cut := scope.get("extensions", {}).get(CUT)) is not None:
                cut["off"]()
            return
        finally:
            gone.cancel()
            self._stream.disconnect(self._client)

    async def _send(self, send: Send, message: Message) -> None:
        async with asyncio.timeout(HURRY_SECONDS if self._client.closed else SEND_SECONDS) as self._limit:
            await send(message)

    def _hurry(self) -> None:
        if self._limit is not None and not self._limit.expired():
            with contextlib.suppress(RuntimeError):
                # Of a message that is on its way; there may be none.
                self._limit.reschedule(asyncio.get_running_loop().time() + HURRY_SECONDS)

    async def _gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            continue
        self._client.close()


def _body(chunk: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": more}


ROUTES = [Route("/events", get, methods=["GET"])]
