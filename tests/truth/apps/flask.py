"""Flask on gunicorn, in one worker with threads."""

from __future__ import annotations

from flask import Flask, Response

from tests.truth.apps import gunicorn_server
from tests.truth.apps.styles import Once, Sync

app = Flask(__name__)
sync, once = Sync(), Once()


@app.get("/sync/<marker>")
def plain(marker: str) -> str:
    return sync.plain(marker)


@app.get("/async/<marker>")
async def plain_async(marker: str) -> str:
    return await once.plain(marker)


@app.get("/gather/<marker>")
async def gather(marker: str) -> str:
    return await once.gather(marker)


@app.get("/pool/<marker>")
def pool(marker: str) -> str:
    return sync.pool(marker)


@app.get("/thread/<marker>")
def thread(marker: str) -> str:
    return sync.thread(marker)


@app.get("/after/<marker>")
def after(marker: str) -> Response:
    response = Response(marker)
    response.call_on_close(sync.after(marker))
    return response


@app.get("/stream/<marker>")
def stream(marker: str) -> Response:
    return Response(sync.stream(marker))


@app.get("/leave/<marker>")
def leave(marker: str) -> Response:
    return Response(sync.leave(marker))


@app.get("/error/<marker>")
def error(marker: str) -> str:
    return sync.error(marker)


@app.get("/cut/<marker>")
def cut(marker: str) -> str:
    return sync.cut(marker)


def serve(port: int) -> None:
    gunicorn_server.run(app, port, worker_class="gthread", threads=8)
