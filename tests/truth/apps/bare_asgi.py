"""An ASGI app without a framework on uvicorn, which nothing is put around by hand."""

from __future__ import annotations

from typing import Any

import uvicorn

from tests.truth.apps.styles import Async

later = Async()


async def app(scope: Any, receive: Any, send: Any) -> None:
    _, style, marker = scope["path"].split("/")
    if scope["type"] == "websocket":
        await talk(receive, send, marker)
        return

    async def start() -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})

    if style == "stream":
        body = await later.stream(marker)
        await start()
        async for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})
    elif style == "after":
        rest = await later.after(marker)
        await start()
        await send({"type": "http.response.body", "body": b"fine"})
        await rest()
    else:
        styles = {"async": later.plain, "pool": later.pool, "gather": later.gather, "thread": later.thread, "error": later.error}
        text = await styles[style](marker)
        await start()
        await send({"type": "http.response.body", "body": text.encode()})


async def talk(receive: Any, send: Any, marker: str) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "websocket.send", "text": await later.message(marker, message["text"])})


def serve(port: int) -> None:
    uvicorn.run(app, port=port, log_level="warning", lifespan="off")
