"""The standard library's driver, without an ORM: statements with parameters, with literals, through helpers and under retries."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Any

from tests.corpus.cases import Family
from tests.corpus.hosts import Job
from tests.corpus.shop import sqlite

case = Family("sqlite3", Job(sqlite))
FAMILIES = [case]

BY_ORDER = "SELECT name, price FROM items WHERE order_id = ?"
NAME = "SELECT name FROM customers WHERE id = ?"


@case(expect={"n1": "items"})
def loop_with_parameters(db: sqlite3.Connection) -> None:
    for (number,) in db.execute("SELECT id FROM orders").fetchall():
        db.execute(BY_ORDER, (number,)).fetchall()  # here: n1


@case(expect={"n1": "items"}, trap="no parameters: the values stand in the text")
def loop_with_literals(db: sqlite3.Connection) -> None:
    for (number,) in db.execute("SELECT id FROM orders").fetchall():
        db.execute(f"SELECT name FROM items WHERE order_id = {number}").fetchall()  # here: n1


@case(expect={"n1": "items"}, trap="a log line between two executions")
def loop_with_logs(db: sqlite3.Connection) -> None:
    for (number,) in db.execute("SELECT id FROM orders").fetchall():
        logging.getLogger("shop").warning("order %s", number)
        db.execute(BY_ORDER, (number,)).fetchall()  # here: n1


@case(expect={"n1": "items"}, trap="a statement of another kind between two executions, always the same")
def loop_with_another(db: sqlite3.Connection) -> None:
    for (number,) in db.execute("SELECT id FROM orders").fetchall():
        db.execute(BY_ORDER, (number,)).fetchall()  # here: n1
        db.execute("INSERT INTO settings (name, value) VALUES ('seen', '1') ON CONFLICT DO NOTHING")


@case(expect={"n1": ("items", "customers")}, trap="two statements in turn: no two of a kind follow one another")
def two_in_turn(db: sqlite3.Connection) -> None:
    for number, customer in db.execute("SELECT id, customer_id FROM orders").fetchall():
        db.execute(BY_ORDER, (number,)).fetchall()  # here: n1
        db.execute(NAME, (customer,)).fetchone()  # here: n1


@case(expect={"n1": "items"}, trap="called through three helpers, the last of which has the line")
def through_helpers(db: sqlite3.Connection) -> None:
    def items(number: int) -> list[Any]:
        return db.execute(BY_ORDER, (number,)).fetchall()  # here: n1

    def total(number: int) -> int:
        return sum(price for _, price in items(number))

    def report(numbers: range) -> list[int]:
        return [total(number) for number in numbers]

    report(range(1, 9))


@case(expect={"n1": "items"}, trap="each execution has another comment in its text")
def comments_in_the_text(db: sqlite3.Connection) -> None:
    for number in range(1, 9):
        db.execute(f"/* span {number:08x} */ SELECT name FROM items WHERE order_id = ?", (number,)).fetchall()  # here: n1


@case(expect={"n1": "items"}, trap="the text is put together with other white space each time")
def white_space(db: sqlite3.Connection) -> None:
    for number in range(1, 9):
        db.execute(f"SELECT name{' ' * number}FROM items\n{' ' * number}WHERE order_id = ?", (number,)).fetchall()  # here: n1


@case(expect={"n1": "orders"})
def writes_in_a_loop(db: sqlite3.Connection) -> None:
    db.execute("BEGIN")
    for number in range(1, 9):
        db.execute("UPDATE orders SET total = total + 1 WHERE id = ?", (number,))  # here: n1
    db.execute("COMMIT")


@case(expect={"n1": "settings"})
def inserts_in_a_loop(db: sqlite3.Connection) -> None:
    db.execute("BEGIN")
    for number in range(8):
        db.execute("INSERT INTO settings (name, value) VALUES (?, ?)", (f"key {number}", "1"))  # here: n1
    db.execute("COMMIT")


@case(expect={"n1": "items"}, trap="newest row of each: a LIMIT with a key is a loop over rows all the same")
def newest_of_each(db: sqlite3.Connection) -> None:
    for number in range(1, 9):
        db.execute("SELECT name FROM items WHERE order_id = ? ORDER BY id DESC LIMIT 1", (number,)).fetchone()  # here: n1


@case(expect={"redundant-query": "customers"})
def the_same_user_twice(db: sqlite3.Connection) -> None:
    def user() -> Any:
        return db.execute(NAME, (7,)).fetchone()

    user()
    db.execute("SELECT total FROM orders WHERE customer_id = ?", (7,)).fetchall()
    user()


@case(expect={"redundant-query": "settings"})
def the_same_literal_in_a_loop(db: sqlite3.Connection) -> None:
    for _ in range(6):
        db.execute("SELECT value FROM settings WHERE name = 'tax'").fetchone()


@case(expect={"commit-in-loop": "", "n1": "orders"})
def commit_in_a_loop(db: sqlite3.Connection) -> None:
    for number in range(1, 9):
        db.execute("BEGIN")
        db.execute("UPDATE orders SET state = 'paid' WHERE id = ?", (number,))  # here: n1
        db.execute("COMMIT")


@case(expect={"idle-in-transaction": ""})
def computes_after_its_write(db: sqlite3.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE orders SET state = 'open' WHERE id = 1")
    time.sleep(0.3)
    db.execute("COMMIT")


@case(trap="computes before its write")
def computes_before_its_write(db: sqlite3.Connection) -> None:
    db.execute("SELECT total FROM orders WHERE id = 1").fetchone()
    time.sleep(0.3)
    db.execute("BEGIN IMMEDIATE")
    db.execute("UPDATE orders SET state = 'open' WHERE id = 1")
    db.execute("COMMIT")


@case(trap="one executemany")
def many_at_once(db: sqlite3.Connection) -> None:
    db.executemany("INSERT INTO settings (name, value) VALUES (?, '1')", [(f"key {number}",) for number in range(50)])


@case(trap="several executemany, each of a file's lines")
def many_at_once_in_parts(db: sqlite3.Connection) -> None:
    for part in range(4):
        db.executemany("INSERT INTO settings (name, value) VALUES (?, '1')", [(f"{part}-{each}",) for each in range(50)])


@case(trap="statements with many rows, in chunks")
def many_rows_in_a_statement(db: sqlite3.Connection) -> None:
    for part in range(4):
        names = [f"{part}-{each}" for each in range(10)]
        db.execute(f"INSERT INTO settings (name, value) VALUES {', '.join(['(?, 1)'] * len(names))}", names)


@case(trap="IN over chunks, the last of which is shorter")
def in_over_chunks(db: sqlite3.Connection) -> None:
    for first in range(1, 37, 10):
        numbers = list(range(first, min(first + 10, 37)))
        db.execute(f"SELECT name FROM items WHERE id IN ({', '.join('?' * len(numbers))})", numbers).fetchall()


@case(trap="read in portions from one cursor")
def portions_of_a_cursor(db: sqlite3.Connection) -> None:
    cursor = db.execute("SELECT name FROM items")
    while cursor.fetchmany(5):
        pass


@case(trap="waits until another has finished: the same statement, with time in between")
def polls(db: sqlite3.Connection) -> None:
    for _ in range(2):
        db.execute("SELECT state FROM orders WHERE id = ?", (1,)).fetchone()
        time.sleep(1.05)


@case(trap="the table is locked: tried again until it is not")
def locked(db: sqlite3.Connection) -> None:
    calls = iter([True, True, False])
    db.create_function("fails", 0, lambda: 1 / 0 if next(calls) else 1)
    for _ in range(3):
        try:
            db.execute("UPDATE orders SET total = fails() WHERE id = ?", (1,))
            break
        except sqlite3.OperationalError:
            continue


@case(trap="tried again with a new value after a conflict")
def conflicts(db: sqlite3.Connection) -> None:
    for name in ("currency", "tax", "currency", "fresh"):
        try:
            db.execute("INSERT INTO settings (name, value) VALUES (?, '1')", (name,))
            break
        except sqlite3.IntegrityError:
            continue


@case(trap="asks whether the connection lives")
def pings(db: sqlite3.Connection) -> None:
    for _ in range(5):
        db.execute("SELECT 1").fetchone()


@case(trap="a migration: one statement for each column and table")
def migrates(db: sqlite3.Connection) -> None:
    for number in range(5):
        db.execute(f"CREATE TABLE extra_{number} (id INTEGER PRIMARY KEY)")
    for name in ("a", "b", "c", "d"):
        db.execute(f"ALTER TABLE orders ADD COLUMN {name} TEXT")
    for number in range(5):
        db.execute(f"CREATE INDEX extra_index_{number} ON extra_{number} (id)")


@case(trap="settings of the connection")
def pragmas(db: sqlite3.Connection) -> None:
    for name in ("journal_mode", "synchronous", "foreign_keys", "cache_size"):
        db.execute(f"PRAGMA {name}").fetchone()


@case(trap="counts of different things in different tables, in one loop over their names")
def a_count_of_each_table(db: sqlite3.Connection) -> None:
    for table in ("customers", "orders", "items", "categories", "settings"):
        db.execute(f"SELECT count(*) FROM {table}").fetchone()


@case(trap="what was written is read again in between")
def writes_and_reads_again(db: sqlite3.Connection) -> None:
    for _ in range(2):
        (total,) = db.execute("SELECT total FROM orders WHERE id = ?", (1,)).fetchone()
        db.execute("UPDATE orders SET total = ? WHERE id = ?", (total + 1, 1))


@case(trap="a queue: the next task, until there is none")
def works_off_a_queue(db: sqlite3.Connection) -> None:
    while row := db.execute("SELECT id FROM orders WHERE state = 'new' AND id < 4 ORDER BY id LIMIT 1").fetchone():
        db.execute("UPDATE orders SET state = 'done' WHERE state = 'new' AND id <= ?", row)
        db.execute("UPDATE orders SET state = 'done' WHERE id < 4")


@case(trap="a helper for every statement of the app: one line, three intents")
def one_helper_for_all(db: sqlite3.Connection) -> None:
    def rows(sql: str, *values: object) -> list[Any]:
        return db.execute(sql, values).fetchall()

    rows("SELECT name FROM customers WHERE id = ?", 1)
    rows("SELECT total FROM orders WHERE customer_id = ?", 1)
    rows("SELECT value FROM settings WHERE name = ?", "tax")
    rows("SELECT name FROM categories WHERE parent_id = ?", 0)


@case(
    trap="a reader for one row each of three people, from three lines",
    known="Of each statement one line is known, and all three come from the reader's.",
)
def one_reader_for_three(db: sqlite3.Connection) -> None:
    def name(number: int) -> str:
        return str(db.execute(NAME, (number,)).fetchone()[0])

    author = name(1)
    editor = name(2)
    reviewer = name(3)
    ", ".join([author, editor, reviewer])


@case(trap="a table that is cached: the loop asks it once")
def cached(db: sqlite3.Connection) -> None:
    known: dict[str, str] = {}

    def setting(name: str, read: Callable[[str], str]) -> str:
        if name not in known:
            known[name] = read(name)
        return known[name]

    for _ in range(10):
        setting("tax", lambda name: db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()[0])


@case(expect={"n1": "customers"}, trap="the same through a reader, from a loop")
def one_reader_in_a_loop(db: sqlite3.Connection) -> None:
    def name(number: int) -> str:
        return str(db.execute(NAME, (number,)).fetchone()[0])  # here: n1

    ", ".join(name(number) for number in range(1, 7))
