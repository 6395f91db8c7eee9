"""What the apps do with a secret: one function a channel, with the name of its form where the place alone tells."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import huey  # type: ignore[import-untyped]
import loguru
import psycopg
import pymysql
import requests
import sqlalchemy
import structlog

import brakit

NOWHERE = "http://127.0.0.1:9"
"""Nobody listens there: the call fails, and its URL stands in the text of the exception as well."""

log = logging.getLogger("privacy")
logging.getLogger().addHandler(logging.NullHandler())
logging.getLogger().setLevel(logging.INFO)
loguru.logger.remove()
structlog.configure(logger_factory=structlog.stdlib.LoggerFactory(), processors=[structlog.stdlib.render_to_log_kwargs])
queue = huey.MemoryHuey(immediate=True)
engine = sqlalchemy.create_engine("sqlite://")
with engine.begin() as _connection:
    _connection.execute(sqlalchemy.text("CREATE TABLE t (a TEXT UNIQUE, n INTEGER NOT NULL)"))

PLANTS: list[dict[str, str]] = json.loads(Path(os.environ["PRIVACY_PLANTS"]).read_text())


ACTIONS: dict[str, Callable[[str, str], object]] = {
    "log": lambda text, _: log.warning(text.replace("%", "%%")),
    "log_args": lambda text, _: log.warning("said %s, %d times", text, 3),
    "log_extra": lambda text, _: log.warning("with more", extra={"note": text}),
    "log_mapping": lambda text, form: log.warning(f"mapped %({form})s", {form: text}),
    "log_field": lambda text, form: log.warning("with more", extra={form: text}),
    "loguru": lambda text, _: loguru.logger.warning(text),
    "bound_field": lambda text, form: structlog.get_logger("s").warning("bound", **{form: text}),
    "structlog": lambda text, _: structlog.get_logger("s").warning(text, note=text),
    "logger_name": lambda text, _: logging.getLogger(text).warning("named"),
    "auth_check": lambda text, _: brakit.auth_check(text, text, subject_kind=text, checked=text),
    "sqlite_literal": lambda text, form: sqlite3.connect(":memory:").execute(f"SELECT 1 WHERE 'a' = {form}{text}{form}"),
    "sqlite_param": lambda text, _: sqlite3.connect(":memory:").execute("SELECT ?", (text,)),
    "sql_comment": lambda text, _: sqlite3.connect(":memory:").execute(f"SELECT 1 /* {text.replace('*', '')} */"),
    "fetch_query": lambda text, _: requests.get(NOWHERE + "/x", params={"q": text}, timeout=2),
    "fetch_path": lambda text, _: httpx.get(f"{NOWHERE}/x/{text}/y", timeout=2),
    "fetch_name": lambda text, form: httpx.get(f"{NOWHERE}/x?{form}={text}", timeout=2),
    "fetch_user": lambda text, form: requests.get(f"http://{form}:{text}@127.0.0.1:9/x", timeout=2),
}


class Unhandled(Exception):
    """Goes through to the framework."""


def run(number: int) -> None:
    """What the plant with this number is for."""
    plant = PLANTS[number]
    # What libraries raise here is theirs; what is seen of it is what counts.
    try:
        ACTIONS[plant["channel"]](plant["text"], plant["form"])
    except Unhandled:
        raise
    except Exception:
        log.exception("the action has failed")


def action(function: Callable[[str, str], object]) -> Callable[[str, str], object]:
    ACTIONS[function.__name__] = function
    return function


@action
def exception(text: str, form: str) -> None:
    raise Unhandled(text)


@action
def cause(text: str, form: str) -> None:
    try:
        raise ValueError(text)
    except ValueError as error:
        raise Unhandled("it failed") from error


@action
def logged_exception(text: str, form: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("logged")


@action
def handled_error(text: str, form: str) -> None:
    brakit.capture_error(ValueError(text))


@action
def span_name(text: str, form: str) -> None:
    with contextlib.suppress(ValueError), brakit.span(text):
        raise ValueError(text)


@action
def span_attribute(text: str, form: str) -> None:
    with brakit.span("work", note=text):
        pass


@action
def attribute(text: str, form: str) -> None:
    with brakit.span("work", **{form: text}):
        pass


@action
def job_name(text: str, form: str) -> None:
    def work() -> None:
        return

    queue.task(name=text)(work)()


@queue.task()  # type: ignore[untyped-decorator]
def fails(text: str) -> None:
    raise ValueError(text)


@action
def job_error(text: str, form: str) -> None:
    fails(text)


@action
def sqlalchemy_literal(text: str, form: str) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT * FROM t WHERE a = '{text}'")


@action
def sqlalchemy_param(text: str, form: str) -> None:
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT * FROM t WHERE a = :a"), {"a": text})


@action
def sqlalchemy_error(text: str, form: str) -> None:
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("INSERT INTO t (a, n) VALUES (:a, :n)"), {"a": text, "n": None})


@action
def sqlalchemy_statement_error(text: str, form: str) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(f"SELECT * FROM nowhere WHERE a = '{text}'")


def _postgres() -> psycopg.Connection[Any]:
    return psycopg.connect("host=127.0.0.1 user=postgres dbname=test", autocommit=True)


@action
def psycopg_literal(text: str, form: str) -> None:
    with _postgres() as connection:
        connection.execute(f"SELECT {form}{text}{form[-1] if form != '$$' else form}")


@action
def psycopg_param(text: str, form: str) -> None:
    with _postgres() as connection:
        connection.execute("SELECT %s::text", (text,))


@action
def psycopg_error(text: str, form: str) -> None:
    with _postgres() as connection:
        connection.execute("CREATE TEMPORARY TABLE privacy (api_token TEXT UNIQUE, n INTEGER NOT NULL)")
        if form == "duplicate key":
            for _ in range(2):
                connection.execute("INSERT INTO privacy VALUES (%s, 1)", (text,))
        elif form == "bad integer":
            connection.execute("SELECT * FROM privacy WHERE n = %s::integer", (text,))
        elif form == "missing":
            connection.execute("INSERT INTO privacy VALUES (%s, NULL)", (text,))
        else:
            connection.execute(f"SELECT nothing FROM privacy WHERE api_token = '{text}'")


def _mariadb() -> pymysql.Connection[Any]:
    return pymysql.connect(host="127.0.0.1", user="root", database="test", autocommit=True)


@action
def pymysql_literal(text: str, form: str) -> None:
    with _mariadb() as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM DUAL WHERE 'a' = {form}{text}{form}")


@action
def pymysql_param(text: str, form: str) -> None:
    with _mariadb() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s", (text,))


@action
def pymysql_error(text: str, form: str) -> None:
    with _mariadb() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES'")
        cursor.execute("CREATE TEMPORARY TABLE privacy (api_token VARCHAR(99) UNIQUE, n INTEGER)")
        if form == "duplicate key":
            for _ in range(2):
                cursor.execute("INSERT INTO privacy VALUES (%s, 1)", (text,))
        elif form == "bad integer":
            cursor.execute("INSERT INTO privacy VALUES ('a', %s)", (text,))
        else:
            cursor.execute(f"SELEC '{text}'")


def _module(source: str, folder: str = "made") -> None:
    """Runs source of the app's own, from a file in its folder, that raises."""
    file = Path.cwd() / folder / f"made_{len(list(Path.cwd().rglob('made_*.py')))}.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(source)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)


@action
def source_line(text: str, form: str) -> None:
    _module(f"import os\ndef login(**_):\n    raise ValueError('no')\n{form.format(text)}\nlogin()\n")


@action
def source_lines(text: str, form: str) -> None:
    lines = f"PASSWORD = (\n    '{text}'\n)\n"
    if form == "private key":
        lines = f"KEY = '''-----BEGIN PRIVATE KEY-----\n{'MIIEvQIBADANBg' * 4}\n" + f"{text}{'A' * 40}\n" * 6 + "'''\n"
    _module(lines + "raise ValueError('no')\n")


@action
def folder(text: str, form: str) -> None:
    _module("raise ValueError('no')\n", text)


def answered(number: int) -> tuple[str, str, list[tuple[str, str]]]:
    """Body, content type and headers of the answer that a plant is for."""
    plant = PLANTS[number]
    channel, text, form = plant["channel"], plant["text"], plant["form"]
    if channel == "answer_json":
        return json.dumps({"items": [{"note": text}]}), "application/json", []
    if channel == "answer_text":
        return text, "text/plain", []
    if channel == "set_cookie":
        return "done", "text/plain", [("Set-Cookie", f"{form}={text}; Path=/; HttpOnly; SameSite=Lax")]
    return "done", "text/plain", [("X-Note" if channel == "answer_header" else form, text)]
