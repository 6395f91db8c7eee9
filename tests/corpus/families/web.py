"""Views of Flask and FastAPI, asked several times where a rule looks at an endpoint."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import flask
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.corpus.cases import Family
from tests.corpus.hosts import FastApi, Flask, at
from tests.corpus.shop import async_engine, engine

flask_case = Family("flask", Flask(engine))
fastapi_case = Family("fastapi", FastApi(async_engine))
FAMILIES = [flask_case, fastapi_case]


@flask_case(expect={"n1": "items"})
def loop_in_a_view(db: sa.Engine) -> list[Any]:
    with db.connect() as connection:
        query = sa.text("SELECT name FROM items WHERE order_id = :number")
        return [connection.execute(query, {"number": number}).scalar() for number in range(1, 9)]  # here: n1


@flask_case(expect={"n1": "items"}, requests=3, trap="told once, however often it is asked for")
def loop_asked_three_times(db: sa.Engine) -> list[Any]:
    with db.connect() as connection:
        query = sa.text("SELECT name FROM items WHERE order_id = :number")
        return [connection.execute(query, {"number": number}).scalar() for number in range(1, 9)]  # here: n1


@flask_case(expect={"redundant-query": "customers"})
def user_in_each_layer(db: sa.Engine) -> dict[str, Any]:
    def user() -> Any:
        with db.connect() as connection:
            return connection.execute(sa.text("SELECT name FROM customers WHERE id = :id"), {"id": 1}).scalar()

    return {"allowed": bool(user()), "name": user()}


@flask_case(expect={"error": "ZeroDivisionError"})
def fails(db: sa.Engine) -> dict[str, float]:
    total = 0
    return {"mean": 1 / total}  # here: error


@flask_case(expect={"error": "OperationalError"})
def asks_for_no_table(db: sa.Engine) -> str:
    with db.connect() as connection:
        return str(connection.execute(sa.text("SELECT 1 FROM nowhere")).scalar())  # here: error


@flask_case(trap="a refusal is no error", requests=6)
def refuses(db: sa.Engine) -> None:
    flask.abort(404)


@flask_case(trap="an exception that the app expects and answers")
def handled(db: sa.Engine) -> tuple[str, int]:
    try:
        return str({"a": 1}["b"]), 200
    except KeyError:
        return "no such price", 404


@flask_case(expect={"error": "RuntimeError", "error-hotspot": ""}, requests=8)
def fails_always(db: sa.Engine) -> None:
    raise RuntimeError("the printer is on fire")  # here: error


@flask_case(expect={"slow": ""}, requests=4)
def always_slow(db: sa.Engine) -> str:
    time.sleep(0.55)
    return "at last"


@flask_case(trap="slow once, at its first request", requests=4)
def slow_once(db: sa.Engine) -> str:
    with db.connect() as connection:
        if connection.execute(sa.text("SELECT state FROM orders WHERE id = 1")).scalar() != "warm":
            time.sleep(0.6)
            connection.execute(sa.text("UPDATE orders SET state = 'warm' WHERE id = 1"))
            connection.commit()
    return "warm"


@flask_case(expect={"select-star": "customers"}, requests=3)
def star(db: sa.Engine) -> str:
    with db.connect() as connection:
        return str(len(connection.execute(sa.text("SELECT * FROM customers WHERE city = :city"), {"city": "city 1"}).all()))


@flask_case(trap="count(*), and EXISTS over a star", requests=3)
def stars_that_cost_nothing(db: sa.Engine) -> str:
    with db.connect() as connection:
        connection.execute(sa.text("SELECT count(*) FROM customers")).scalar()
        connection.execute(sa.text("SELECT id FROM orders WHERE EXISTS (SELECT * FROM items WHERE order_id = orders.id)")).all()
    return "counted"


@flask_case(expect={"high-rows": "items"}, requests=3)
def every_row(db: sa.Engine) -> str:
    with db.connect() as connection:
        return str(len(connection.execute(sa.text("SELECT a.id FROM items a CROSS JOIN items b")).all()))


@flask_case(trap="a page of a hundred rows", requests=3)
def a_page_of_rows(db: sa.Engine) -> str:
    with db.connect() as connection:
        return str(len(connection.execute(sa.text("SELECT a.id FROM items a CROSS JOIN items b LIMIT 120")).all()))


@flask_case(expect={"query-heavy": ""}, requests=4)
def thirty_statements(db: sa.Engine) -> str:
    with db.connect() as connection:
        for number in range(30):
            names = ", ".join((*("id", "name", "city", "notes")[: number % 4 + 1], f"{number} AS c{number}"))
            connection.execute(sa.text(f"SELECT {names} FROM customers WHERE id = 1")).all()
    return "read"


@flask_case(trap="eight statements, each for something else", requests=4)
def eight_statements(db: sa.Engine) -> str:
    with db.connect() as connection:
        for table in ("customers", "orders", "items", "categories"):
            connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar()
            connection.execute(sa.text(f"SELECT max(id) FROM {table}")).scalar()
    return "read"


@flask_case(trap="a health check that asks the database several times", requests=3)
@at("/health")
def health(db: sa.Engine) -> str:
    with db.connect() as connection:
        for number in range(1, 8):
            connection.execute(sa.text("SELECT name FROM customers WHERE id = :id"), {"id": number}).scalar()
    return "well"


@flask_case(expect={"large-response": ""}, requests=4)
def large(db: sa.Engine) -> list[dict[str, Any]]:
    return [{"number": number, "text": "-" * 90} for number in range(4000)]


@flask_case(trap="a file of that size", requests=4)
def download(db: sa.Engine) -> flask.Response:
    attachment = {"content-disposition": "attachment; filename=report.csv"}
    return flask.Response(b"1;2;3\n" * 80_000, mimetype="text/csv", headers=attachment)


@flask_case(trap="sixty kilobytes are no large answer", requests=4)
def middling(db: sa.Engine) -> list[str]:
    return ["-" * 100] * 600


@flask_case(trap="twelve fields, all of which the page may show", requests=3)
def many_fields(db: sa.Engine) -> list[dict[str, Any]]:
    return [{"id": row, "shop_id": 1, **{f"field{number}": number for number in range(12)}} for row in range(3)]


@fastapi_case(expect={"n1": "items"})
async def awaited_loop(db: AsyncEngine) -> list[Any]:
    async with db.connect() as connection:
        query = sa.text("SELECT name FROM items WHERE order_id = :number")
        return [(await connection.execute(query, {"number": number})).scalar() for number in range(1, 9)]  # here: n1


@fastapi_case(expect={"error": "KeyError"})
async def fails_too(db: AsyncEngine) -> str:
    prices: dict[str, str] = {}
    return prices["tea"]  # here: error


@fastapi_case(expect={"n1": "items"}, trap="other requests run at the same time")
async def while_others_run(db: AsyncEngine) -> list[Any]:
    async with db.connect() as connection:
        found = []
        for number in range(1, 9):
            await asyncio.sleep(0)
            query = sa.text("SELECT name FROM items WHERE order_id = :number")
            found.append((await connection.execute(query, {"number": number})).scalar())  # here: n1
        return found


@fastapi_case(trap="each path parameter is another request, each with one statement", requests=6)
@at("/customers/<int:number>", "/customers/4")
async def one_each(db: AsyncEngine, number: str) -> Any:
    async with db.connect() as connection:
        return (await connection.execute(sa.text("SELECT name FROM customers WHERE id = :id"), {"id": number})).scalar()


@fastapi_case(trap="a join", requests=3)
async def joined(db: AsyncEngine) -> list[Any]:
    async with db.connect() as connection:
        rows = await connection.execute(sa.text("SELECT o.id, i.name FROM orders o JOIN items i ON i.order_id = o.id"))
        return [list(row) for row in rows]


@flask_case(expect={"unbounded-query": "items"}, requests=6)
def grows(db: sa.Engine) -> str:
    with db.begin() as connection:
        rows = [{"order_id": 1, "name": "more", "price": number} for number in range(60)]
        connection.execute(sa.text("INSERT INTO items (order_id, name, price) VALUES (:order_id, :name, :price)"), rows)
    with db.connect() as connection:
        return str(len(connection.execute(sa.text("SELECT id FROM items")).all()))


@flask_case(trap="a list of that length, which stays as it is", requests=6)
def stays(db: sa.Engine) -> str:
    with db.connect() as connection:
        return str(len(connection.execute(sa.text("SELECT a.id FROM items a JOIN items b ON b.price < 2 AND a.id < 13")).all()))


@flask_case(expect={"similar-query": "customers"})
def five_lines(db: sa.Engine) -> list[Any]:
    query = sa.text("SELECT name FROM customers WHERE id = :id")
    with db.connect() as connection:
        author = connection.execute(query, {"id": 1}).scalar()
        editor = connection.execute(query, {"id": 2}).scalar()
        reviewer = connection.execute(query, {"id": 3}).scalar()
        publisher = connection.execute(query, {"id": 4}).scalar()
        printer = connection.execute(query, {"id": 5}).scalar()
    return [author, editor, reviewer, publisher, printer]


@fastapi_case(expect={"blocked-loop": ""})
async def sleeps_in_the_loop(db: AsyncEngine) -> str:
    time.sleep(0.4)  # noqa: ASYNC251  # here: blocked-loop
    return "awake"


@fastapi_case(trap="sleeps and lets others run")
async def sleeps_beside_the_loop(db: AsyncEngine) -> str:
    await asyncio.sleep(0.4)
    await asyncio.to_thread(time.sleep, 0.2)
    return "awake"
