"""The app that is measured, twice: FastAPI under uvicorn and Flask under waitress. `python -m bench.apps fastapi` prints its port."""

from __future__ import annotations

import socket
import sys
from typing import Any

import brakit  # noqa: F401, this is what is measured; switched off in the baseline

from sqlalchemy import Engine, create_engine, text  # isort: skip


def database() -> Engine:
    """1 000 rows in memory, one connection."""
    from sqlalchemy.pool import StaticPool

    engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
    with engine.begin() as connection:
        connection.execute(text("create table item (id integer primary key, name text, price integer)"))
        connection.execute(
            text("insert into item (id, name, price) values (:id, :name, :price)"),
            [{"id": n, "name": f"item {n}", "price": n * 10} for n in range(1000)],
        )
    return engine


SELECT = text("select id, name, price from item where id = :id")


def read(engine: Engine, number: int) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(connection.execute(SELECT, {"id": index}).one()._mapping) for index in range(number)]


def fastapi_app() -> Any:
    from fastapi import FastAPI

    app = FastAPI()
    engine = database()

    @app.get("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/q1")
    async def q1() -> list[dict[str, Any]]:
        return read(engine, 1)

    @app.get("/q50")
    async def q50() -> list[dict[str, Any]]:
        return read(engine, 50)

    return app


def flask_app() -> Any:
    from flask import Flask

    app = Flask("bench")
    engine = database()

    @app.get("/hello")
    def hello() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/q1")
    def q1() -> list[dict[str, Any]]:
        return read(engine, 1)

    @app.get("/q50")
    def q50() -> list[dict[str, Any]]:
        return read(engine, 50)

    return app


def main(framework: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    if framework == "fastapi":
        import uvicorn

        config = uvicorn.Config(fastapi_app(), access_log=False, log_level="warning", lifespan="off")
        uvicorn.Server(config).run(sockets=[listener])
    else:
        import logging

        import waitress

        # With 16 connections on 4 threads there is always a queue.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)

        waitress.serve(flask_app(), sockets=[listener], threads=4, _quiet=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(0)
