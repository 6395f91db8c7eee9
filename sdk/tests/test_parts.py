"""From what was written down to clean text: fields, messages, headers, bodies, what a path says."""

from __future__ import annotations

import gzip

import pytest

from brakit import parts


@pytest.mark.parametrize(
    ("message", "args", "text"),
    [
        ("order %d of %s", (5, "ada"), "order 5 of ada"),
        ("order %(id)d", {"id": 5}, "order 5"),
        ("order %d", ("five",), "order %d (five)"),
        ("100%", (), "100%"),
        ("no args %s", None, "no args %s"),
    ],
)
def test_a_message_with_its_arguments(message: str, args: object, text: str) -> None:
    assert parts.message(message, args) == text


def test_headers_by_lower_case_name_up_to_a_limit() -> None:
    assert parts.headers([(b"Accept", b"a"), ("accept", "b"), (b"X-\xe9", b"c")]) == {"accept": ["a", "b"], "x-é": ["c"]}
    assert len(parts.headers([(f"x-{number}", "v") for number in range(500)])) == parts.MAX_HEADERS
    assert parts.headers([("a", "x" * 5000)] * 100)["a"] != []
    assert sum(len(value) for value in parts.headers([("a", "x" * 5000)] * 100)["a"]) <= parts.MAX_HEADERS_TEXT


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "text"),
    [
        (b'{"a": 1}', "application/json", "", '{"a": 1}'),
        (b"\xe9", "text/plain; charset=latin-1", "", "é"),
        (gzip.compress(b"hello"), "text/plain", "gzip", "hello"),
        (b"no gzip", "text/plain", "gzip", None),
        (b"hello", "text/plain", "br", None),
        (b"\x89PNG", "image/png", "", None),
        (b"\x00\x01", "", "", None),
        (b"", "text/plain", "", None),
        ("no bytes", "text/plain", "", None),
    ],
)
def test_the_text_of_a_body(body: object, content_type: str, encoding: str, text: str | None) -> None:
    assert parts.body(body, content_type, encoding) == text


def test_structured_fields_are_masked_by_name() -> None:
    assert parts.fields({"user": "ada", "password": "hunter2"}) == {"user": "ada", "password": "****"}
    assert parts.fields({}) is None


def test_what_a_path_says() -> None:
    assert [parts.is_static(path) for path in ("/static/x", "/a/app.JS", "/favicon.ico", "/orders/1", "/js")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert [parts.is_health_check(path) for path in ("/healthz", "/API/health", "/healthz/x")] == [True, True, False]
