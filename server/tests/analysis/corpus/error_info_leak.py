"""Internals in errors, and errors that only sound like it."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _answer(make: Any, body: str, status: int = 500, **more: Any) -> list[Any]:
    return [make.raw_request(response_body=body, status=status, route="/pay", **more)]


def an_address_of_a_database(make: Any) -> Labelled:
    return _answer(make, '{"detail": "cannot connect to postgresql+asyncpg://db.internal:5432/shop"}'), [
        ("error-info-leak", "critical", ("address of a database",))
    ]


def others(make: Any) -> Labelled:
    return _answer(make, "mongodb+srv://cluster.example.net/shop is down", 503), [("error-info-leak", "critical")]


def with_tls(make: Any) -> Labelled:
    return _answer(make, "no answer from rediss://cache.internal:6380/0"), [("error-info-leak", "critical")]


def a_statement(make: Any) -> Labelled:
    return _answer(make, '{"error": "SELECT id, name FROM users WHERE id = 3 failed"}'), [
        ("error-info-leak", "critical", ("SQL statement",))
    ]


def what_sqlalchemy_says(make: Any) -> Labelled:
    body = '{"detail": "(sqlite3.IntegrityError) UNIQUE constraint failed: users.email\\n[SQL: INSERT INTO users (email) VALUES (?)]"}'
    return _answer(make, body, 400), [("error-info-leak", "critical", ("SQL statement",))]


def the_words_of_the_database(make: Any) -> Labelled:
    return _answer(make, '{"detail": "relation \\"users\\" does not exist"}'), [
        ("error-info-leak", "warning", ("words of the database",))
    ]


def the_text_of_an_exception(make: Any) -> Labelled:
    error = make.error("RuntimeError", "ledger 7 of tenant blue is locked by worker 3")
    found = [("error-info-leak", "warning", ("text of an exception", "app/pay.py:9")), ("error", "critical")]
    return [*_answer(make, '{"detail": "ledger 7 of tenant blue is locked by worker 3"}'), error], found


def the_path_of_a_file(make: Any) -> Labelled:
    return _answer(make, "cannot read settings in /srv/shop/app/settings.py"), [("error-info-leak", "warning", ("source file",))]


def a_key_that_the_client_did_not_send(make: Any) -> Labelled:
    return _answer(make, "upstream said no to api_key=k9f8e7d6c5b4a3928"), [("error-info-leak", "critical", ("a secret",))]


def a_statement_in_lower_case(make: Any) -> Labelled:
    query = make.query("select id, total from orders where id = ?", error="OperationalError: no", operation="SELECT")
    return [*_answer(make, "could not run: select id, total from orders where id = 3"), query], [("error-info-leak", "critical")]


def english_like_sql(make: Any) -> Labelled:
    return _answer(make, '{"detail": "select an item from the list, update your set, or delete from cart"}', 400), []


def what_the_client_sent(make: Any) -> Labelled:
    sent = '{"user": "ada", "password": "hunter2!x"}'
    return _answer(make, '{"detail": [{"input": {"password": "hunter2!x"}}]}', 422, method="POST", request_body=sent), []


def what_a_four_hundred_means_to_say(make: Any) -> Labelled:
    error = make.error("ValueError", "the amount must be more than zero", handled=True)
    return [*_answer(make, '{"detail": "the amount must be more than zero"}', 400), error], [("error", "warning")]


def a_page_about_databases(make: Any) -> Labelled:
    return _answer(make, "write postgres://host/name, then SELECT a FROM b", 200), []


def an_id(make: Any) -> Labelled:
    return _answer(make, '{"detail": "Something went wrong", "id": "9f8e7d6c5b4a39281706"}'), []
