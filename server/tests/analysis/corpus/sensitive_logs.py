"""Secrets in logs, and logs about secrets."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _logged(make: Any, message: str, **more: Any) -> list[Any]:
    return [make.request(), make.raw_log(message, **more)]


def a_password(make: Any) -> Labelled:
    return _logged(make, "signing in ada with password=hunter2"), [("sensitive-logs", "warning", ("password", "app/pay.py:9"))]


def a_token(make: Any) -> Labelled:
    return _logged(make, "got token=9f8e7d6c5b4a39281706"), [("sensitive-logs", "warning", ("token",))]


def an_api_key(make: Any) -> Labelled:
    return _logged(make, '{"apiKey": "k9f8e7d6c5b4a3928"}'), [("sensitive-logs", "warning", ("apiKey",))]


def an_address_with_a_password(make: Any) -> Labelled:
    return _logged(make, "connecting to postgres://shop:hunter2@db/shop"), [("sensitive-logs", "warning")]


def headers(make: Any) -> Labelled:
    return _logged(make, "headers: Authorization: Bearer 9f8e7d6c5b4a39281706"), [("sensitive-logs", "warning")]


def at_debug(make: Any) -> Labelled:
    return _logged(make, "password=hunter2", level="debug"), [("sensitive-logs", "info")]


def in_a_job(make: Any) -> Labelled:
    return [make.job(), make.raw_log("client_secret=s3cr3t-9f8e7d6c", owner="j1")], [
        ("sensitive-logs", "warning", ("client_secret",))
    ]


def a_hash(make: Any) -> Labelled:
    return _logged(make, "row is ada $2b$12$notARealHash0123456789abcdefghij"), [("sensitive-logs", "warning")]


def from_a_sender_that_describes_nothing(make: Any) -> Labelled:
    return [make.request(), make.log("user ada password=****")], [("sensitive-logs", "warning", ("password",))]


def hidden_by_the_app(make: Any) -> Labelled:
    return _logged(make, "user ada password=**** api_key=********"), []


def hidden_by_a_library(make: Any) -> Labelled:
    return _logged(make, "connected to amqp://guest:**@localhost:5672//"), []


def a_sentence(make: Any) -> Labelled:
    return _logged(make, "password: must not be empty; token is missing"), []


def no_value(make: Any) -> Labelled:
    return _logged(make, "token=None secret='' password_min_length=12 session: 3"), []


def an_id(make: Any) -> Labelled:
    return _logged(make, "order 7f6e5d4c paid by user 42 in 13 ms"), []
