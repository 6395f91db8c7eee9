"""Sentences that say nothing are not looked at closely; whatever a look would change is never one."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from brakit import redact

SAID = st.sampled_from(
    [
        *(
            "password",
            "Password",
            "token",
            "key",
            "api",
            "access",
            "secret",
            "is",
            "was",
            "set",
            "to",
            "login",
            "Basic",
            "bearer",
            "pin",
        ),
        *(
            "issued",
            "user",
            "item",
            "order",
            "hunter2",
            "3f9a8c1e77",
            "4242",
            "424242424242",
            "378282",
            "10005",
            "12.5ms",
            "3",
            "200",
        ),
        *(
            "QWxhZGRpbjpvcGVu",
            "dXNlcjpwYXNz",
            "paid.",
            "done,",
            "LINE",
            "near",
            "eyJhbGciOiJI",
            "EAAB",
            "SK",
            "next",
            "page",
            "\u0664",
        ),
    ]
)


@settings(max_examples=500)
@given(
    st.lists(SAID | st.text("abcKEYpasword0123456789.-", min_size=1, max_size=14), max_size=8),
    st.sampled_from([" ", "  ", "\n", "\t", "\x1f"]),
)
def test_what_says_nothing_is_what_a_look_would_leave(words: list[str], between: str) -> None:
    value = between.join(words)
    if redact._says_nothing(value):
        assert redact._text(value) == value


def test_most_logs_say_nothing() -> None:
    for value in ("item 5 was read by somebody", "Order 10432 is paid, 12.5ms", "started", "3 of 200 done"):
        assert redact._says_nothing(value)
    redact.own(["tenant_ref"])
    try:
        assert not redact._says_nothing("started")
    finally:
        redact.own([])
