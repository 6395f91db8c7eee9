"""The app that is measured, twice: FastAPI under uvicorn and Flask under waitress. `python -m bench.apps fastapi` prints its port.

/hello does nothing, /q1 is one ORM query, /q50 fifty, /mix five with two outgoing calls and three logs; /tag/{number} leaves its number
on every event.
"""

from __future__ import annotations

from bench import variants

flush = variants.activate() if __name__ == "__main__" else None

import logging  # noqa: E402
import os  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from sqlalchemy import create_engine, select  # noqa: E402
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column  # noqa: E402

log = logging.getLogger("bench.apps")
STUB = f"http://127.0.0.1:{os.environ.get('BENCH_STUB', '9')}"
TAGGED = 9
"""Queries of /tag/{number}; with a call, a log and the request these are twelve events."""


class Base(DeclarativeBase):
    pass


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int]


def database() -> Any:
    """1 000 rows in a file, which a reloaded app finds again."""
    file = Path(os.environ["BENCH_FOLDER"]) / "items.sqlite"
    engine = create_engine(f"sqlite:///{file}")
    if file.exists():
        return engine
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Item(id=number, name=f"item {number}", price=number * 10) for number in range(1, 1001)])
        session.commit()
    return engine


def read(engine: Any, number: int) -> list[dict[str, Any]]:
    """`number` ORM queries, each with a parameter of its own."""
    found = []
    with Session(engine) as session:
        for index in range(1, number + 1):
            item = session.execute(select(Item).where(Item.id == index)).scalar_one()
            found.append({"id": item.id, "name": item.name, "price": item.price})
    return found


def tagged(engine: Any, number: int, times: int) -> None:
    """Queries with the same parameter, which no other request has: the hash of it tells whose they are."""
    with Session(engine) as session:
        for _ in range(times):
            session.execute(select(Item.name).where(Item.id == number)).all()


def quiet_logs() -> None:
    """A handler that formats and writes, to nowhere."""
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger().addHandler(logging.StreamHandler(Path(os.devnull).open("w")))  # noqa: SIM115
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


def fastapi_app() -> Any:
    import httpx
    from fastapi import FastAPI, Request

    app = FastAPI()
    engine = database()
    client = httpx.AsyncClient()
    quiet_logs()

    @app.get("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/q1")
    async def q1() -> list[dict[str, Any]]:
        return read(engine, 1)

    @app.get("/q50")
    async def q50() -> list[dict[str, Any]]:
        return read(engine, 50)

    @app.get("/mix")
    async def mix() -> list[dict[str, Any]]:
        log.info("mix is asked for")
        found = read(engine, 5)
        for index in range(2):
            answer = await client.get(f"{STUB}/price/{index}")
            log.info("price %s is %s", index, answer.json()["price"])
        return found

    @app.get("/tag/{number}")
    async def tag(number: int, queries: int = TAGGED) -> dict[str, int]:
        if queries:
            tagged(engine, number, queries // 2)
            await client.get(f"{STUB}/tag/{number}")
            tagged(engine, number, queries - queries // 2)
        log.info("tag %d", number)
        return {"number": number}

    @app.post("/echo")
    async def echo(request: Request) -> Any:
        return await request.json()

    return app


def flask_app() -> Any:
    import httpx
    from flask import Flask, request

    app = Flask("bench")
    engine = database()
    client = httpx.Client()
    quiet_logs()

    @app.get("/hello")
    def hello() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/q1")
    def q1() -> list[dict[str, Any]]:
        return read(engine, 1)

    @app.get("/q50")
    def q50() -> list[dict[str, Any]]:
        return read(engine, 50)

    @app.get("/mix")
    def mix() -> list[dict[str, Any]]:
        log.info("mix is asked for")
        found = read(engine, 5)
        for index in range(2):
            answer = client.get(f"{STUB}/price/{index}")
            log.info("price %s is %s", index, answer.json()["price"])
        return found

    @app.get("/tag/<int:number>")
    def tag(number: int) -> dict[str, int]:
        queries = int(request.args.get("queries", TAGGED))
        if queries:
            tagged(engine, number, queries // 2)
            client.get(f"{STUB}/tag/{number}")
            tagged(engine, number, queries - queries // 2)
        log.info("tag %d", number)
        return {"number": number}

    return app


APPS = {"fastapi": fastapi_app, "flask": flask_app}


def main(framework: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    app = APPS[framework]()
    if framework == "fastapi":
        import uvicorn

        uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning", lifespan="off")).run(sockets=[listener])
    else:
        import waitress

        # With 16 connections on 4 threads there is always a queue.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        waitress.serve(app, sockets=[listener], threads=4, _quiet=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        sys.exit(0)
