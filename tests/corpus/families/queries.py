"""What shows only from request to request, or from line to line: statements that grow, that become slow, that are like each other."""

from __future__ import annotations

import sqlite3
import time

import sqlalchemy as sa

from tests.corpus.cases import Family
from tests.corpus.hosts import Flask, Job
from tests.corpus.shop import engine, sqlite

plain_case = Family("sqlite3-lines", Job(sqlite))
view_case = Family("flask-queries", Flask(engine))
FAMILIES = [plain_case, view_case]

NAME = "SELECT name FROM customers WHERE id = ?"


def add(db: sa.Engine, number: int) -> None:
    with db.begin() as connection:
        before = connection.execute(sa.text("SELECT count(*) FROM settings")).scalar_one()
        rows = [{"name": f"key {before + n}", "value": "1"} for n in range(number)]
        connection.execute(sa.text("INSERT INTO settings (name, value) VALUES (:name, :value)"), rows)


def read(db: sa.Engine, sql: str, **values: object) -> list[str]:
    with db.connect() as connection:
        return list(connection.execute(sa.text(sql), values).scalars())


@view_case(expect={"unbounded-query": "settings"}, requests=5)
def a_list_that_grows(db: sa.Engine) -> list[str]:
    add(db, 60)
    return read(db, "SELECT name FROM settings WHERE value = :value", value="1")[:3]


@view_case(expect={"unbounded-query": "settings"}, requests=10, trap="it stays the same between two steps")
def a_list_that_grows_now_and_then(db: sa.Engine) -> list[str]:
    if len(read(db, "SELECT id FROM customers WHERE city = :city", city="visited")) % 2 == 0:
        add(db, 60)
    with db.begin() as connection:
        connection.execute(sa.text("INSERT INTO customers (name, city, notes) VALUES ('x', 'visited', '')"))
    return read(db, "SELECT name FROM settings WHERE value = :value", value="1")[:3]


@view_case(trap="a list of which a page is read", requests=5)
def a_page_of_a_list_that_grows(db: sa.Engine) -> list[str]:
    add(db, 60)
    return read(db, "SELECT name FROM settings ORDER BY name LIMIT 200")[:3]


@view_case(trap="a list that is long, and keeps its length", requests=5)
def a_long_list(db: sa.Engine) -> list[str]:
    if not read(db, "SELECT name FROM settings WHERE name = :name", name="key 50"):
        add(db, 250)
    return read(db, "SELECT name FROM settings")[:3]


@view_case(trap="a queue that is emptied", requests=8)
def a_queue(db: sa.Engine) -> list[str]:
    add(db, 70)
    waiting = read(db, "SELECT name FROM settings")
    if len(waiting) > 200:
        with db.begin() as connection:
            connection.execute(sa.text("DELETE FROM settings"))
    return waiting[:3]


@plain_case(expect={"similar-query": "customers"})
def one_row_on_each_of_four_lines(db: sqlite3.Connection) -> None:
    author = db.execute(NAME, (1,)).fetchone()
    editor = db.execute(NAME, (2,)).fetchone()
    reviewer = db.execute(NAME, (3,)).fetchone()
    reader = db.execute(NAME, (4,)).fetchone()
    ", ".join(map(str, (author, editor, reviewer, reader)))


@plain_case(trap="three lines: the parties of one thing")
def one_row_on_each_of_three_lines(db: sqlite3.Connection) -> None:
    author = db.execute(NAME, (1,)).fetchone()
    editor = db.execute(NAME, (2,)).fetchone()
    reviewer = db.execute(NAME, (3,)).fetchone()
    ", ".join(map(str, (author, editor, reviewer)))


def _waiting(db: sqlite3.Connection, slow_from: int, seconds: float) -> None:
    done = db.execute("SELECT count(*) FROM settings WHERE value = 'run'").fetchone()[0]
    db.create_function("wait", 1, lambda _: time.sleep(seconds if done >= slow_from else 0))
    db.execute("SELECT wait(id) FROM customers WHERE id = ?", (1,)).fetchall()
    db.execute("INSERT INTO settings (name, value) VALUES (?, ?)", (f"run {done}", "run"))


@plain_case(expect={"slow-query": "customers"}, requests=28)
def slower_than_itself(db: sqlite3.Connection) -> None:
    _waiting(db, 23, 0.12)


@plain_case(trap="slow for the first time", requests=28)
def slow_once(db: sqlite3.Connection) -> None:
    _waiting(db, 27, 0.12)


@plain_case(trap="slower than itself, and still fast", requests=28)
def slower_and_fast(db: sqlite3.Connection) -> None:
    _waiting(db, 23, 0.008)
