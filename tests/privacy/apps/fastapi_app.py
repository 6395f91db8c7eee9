"""FastAPI on uvicorn."""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket

import brakit
from tests.privacy.apps import actions

app = FastAPI()


@app.get("/work/{number}")
def work(number: int) -> str:
    actions.run(number)
    return "done"


@app.get("/answer/{number}")
def answer(number: int) -> Response:
    body, content_type, headers = actions.answered(number)
    response = Response(body, media_type=content_type)
    for name, value in headers:
        response.headers.append(name, value)
    return response


@app.api_route("/echo/{rest:path}", methods=["GET", "POST", "PUT"])
async def echo(rest: str, request: Request) -> str:
    return str(len(await request.body()))


@app.websocket("/ws/{rest:path}")
async def websocket(rest: str, socket: WebSocket) -> None:
    protocols = socket.headers.get("sec-websocket-protocol", "").split(", ")
    await socket.accept(subprotocol=protocols[0] or None)
    await socket.send_text("done")
    await socket.close()


@app.get("/flush")
def flush() -> bool:
    return brakit.flush(20)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_level="info")
