"""Flask on gunicorn, in one worker with threads."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

from typing import Any

from flask import Flask, Response
from gunicorn.app.base import BaseApplication

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


@app.get("/error/<marker>")
def error(marker: str) -> str:
    return sync.error(marker)


@app.get("/cut/<marker>")
def cut(marker: str) -> str:
    return sync.cut(marker)


class Gunicorn(BaseApplication):  # type: ignore[misc]
    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__()

    def load_config(self) -> None:
        for name, value in {
            "bind": f"127.0.0.1:{self.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": 8,
            "loglevel": "warning",
            "graceful_timeout": 5,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return app


def serve(port: int) -> None:
    Gunicorn(port).run()
