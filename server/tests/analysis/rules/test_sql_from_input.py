"""Values of the request in the text of a statement."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import flask

from brakit_server.local import Recorder
from brakit_server.records import Query

HERE = Path(__file__).parent


def told(*urls: str, **posted: str) -> list[bool]:
    """Of each statement of an app that is asked for `urls`, whether it held values of the request."""
    with Recorder(HERE) as recorder:
        app = flask.Flask("shop")

        def asked(sql: str, *params: object) -> list[object]:
            connection = sqlite3.connect(":memory:")
            connection.executescript("CREATE TABLE items (id INTEGER, name TEXT)")
            try:
                return connection.execute(sql, params).fetchall()
            finally:
                connection.close()

        app.add_url_rule("/text/<n>", "text", lambda n: asked(f"SELECT name FROM items WHERE id = {n}"))
        app.add_url_rule("/name", "name", lambda: asked(f"SELECT id FROM items WHERE name LIKE '%{flask.request.args['q']}%'"))
        app.add_url_rule("/bound/<n>", "bound", lambda n: asked("SELECT name FROM items WHERE id = ?", n))
        app.add_url_rule("/fixed/<q>", "fixed", lambda q: asked("SELECT name FROM items WHERE name = 'open'", *[][: len(q)]))
        app.add_url_rule("/page/<n>", "page", lambda n: asked(f"SELECT name FROM items LIMIT 10 OFFSET {n}"))
        app.add_url_rule("/own/<n>", "own", lambda n: asked(f"SELECT name FROM items WHERE id = {len(n) + 100}"))
        app.add_url_rule(
            "/posted",
            "posted",
            lambda: asked(f"SELECT id FROM items WHERE name = '{flask.request.get_json()['name']}'"),
            methods=["POST"],
        )
        client = app.test_client()
        for url in urls:
            client.get(url).get_data()
        for name in posted.values():
            client.post("/posted", json={"name": name}).get_data()
        seen = recorder.take()
        assert recorder.failures == {}
    queries = [entry for timeline in seen.timelines for entry in timeline.entries if isinstance(entry, Query)]
    return [bool(query.literals_from_request) for query in queries if query.operation == "SELECT"]


def test_a_number_in_the_path() -> None:
    assert told("/text/41", "/text/42", "/text/43") == [False, True, True]


def test_a_string_of_the_query_decoded() -> None:
    assert told("/name?q=red%20shoes", "/name?q=blue+hat") == [False, True]


def test_a_string_of_a_body() -> None:
    assert told(a="Ada", b="Grace Hopper") == [False, True]


def test_bound_values_are_none() -> None:
    assert told("/bound/41", "/bound/42") == [False, False]


def test_a_literal_that_is_the_same_each_time() -> None:
    assert told("/fixed/open", "/fixed/open", "/fixed/closed") == [False, False, False]


def test_pages_and_values_of_the_apps_own() -> None:
    assert told("/page/10", "/page/20", "/own/1", "/own/22") == [False] * 4
