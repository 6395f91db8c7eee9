"""What is told of a mask: never the value."""

from __future__ import annotations

import pytest

from brakit import redact
from brakit.masked import MAX_SEEN, seen


def told(text: str, content_type: str = "application/json") -> list[tuple[str, str, str]]:
    masked = redact.body(text, content_type)
    return [(one["name"], one["look"], one["length"]) for one in seen(text, masked, "responseBody")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"id": 3, "password": "hunter2!"}', [("password", "text", "medium")]),
        ('{"password": "Forgot your password?"}', [("password", "words", "medium")]),
        ('{"secret": "no secret configured"}', [("secret", "words", "medium")]),
        ('{"password": "Your password must have 12 characters"}', [("password", "words", "long")]),
        ('{"password": "Password"}', [("password", "words", "medium")]),
        ('{"password": "$2b$12$notARealHash0123456789abcdefghij"}', [("password", "hash", "long")]),
        ('{"token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl"}', [("token", "key", "long")]),
        ('{"card_number": "xxxx-xxxx"}', [("card_number", "hidden", "medium")]),
        ('{"card_number": "xxxx-xxxx-xxxx-4242"}', [("card_number", "hidden", "medium")]),
        ('{"pin": 1234, "b": 2}', [("pin", "number", "short")]),
        (
            '{"a": "x", "apiKey": "k1-9f8e7d6c", "b": [{"client_secret": "s3cr3t99"}]}',
            [("apiKey", "text", "medium"), ("client_secret", "text", "medium")],
        ),
        ('{"dsn": "postgres://shop:hunter2@db/shop"}', [("", "user info", "medium")]),
        ('{"dsn": "postgres://shop:***@db/shop"}', [("", "hidden", "medium")]),
        ('{"password": "****"}', []),
        ('{"password": null, "name": "Ada"}', []),
    ],
)  # fmt: skip
def test_name_look_and_length(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert told(text) == expected


def test_a_url_and_a_message() -> None:
    url = "/reset?lang=en&token=9f8e7d6c5b4a&next=%2F"
    assert seen(url, redact.url(url), "url") == [{"place": "url", "name": "token", "look": "text", "length": "medium"}]
    said = "signed in with password=hunter2 from 10.0.0.1"
    (one,) = seen(said, redact.text(said), "message")
    assert (one["name"], one["look"], one["length"]) == ("password", "text", "short")


def test_a_cut_body() -> None:
    assert told('{"users": [{"password": "hunter2!", "name": "A", "token": "abc123def') == [
        ("password", "text", "medium"),
        ("token", "text", "medium"),
    ]


def test_no_more_than_so_many() -> None:
    assert len(told("[" + ",".join(['{"password": "hunter2!"}'] * 100) + "]")) == MAX_SEEN


def test_texts_that_do_not_fit_tell_nothing() -> None:
    assert seen("abc", "x****y", "url") == []
    assert seen("", "****", "url") == []
