"""Values that databases and validators quote: messages of real ones, and of those that are not at hand as they write them."""

from __future__ import annotations

import sqlite3

import pytest

from brakit import quoting

NEEDLE = "Hun7erNeedle9"

SECRET = [
    f"[SQL: INSERT INTO u (a, pw) VALUES (?, ?)]\n[parameters: ('bob', '{NEEDLE}')]\n(Background on this error at: https://x)",
    f"[SQL: INSERT INTO u (a) VALUES ('it''s {NEEDLE}')]",
    f"[generated in 0.00012s] ('bob', '{NEEDLE}')",
    f"[cached since 0.1s ago] {{'password': '{NEEDLE}'}}",
    f"[raw sql] ('{NEEDLE}',)",
    f"(0.001) SELECT a FROM b WHERE c = '{NEEDLE}'; args=('{NEEDLE}',); alias=default",
    f"null value in column violates\nDETAIL:  Failing row contains (1, bob, {NEEDLE}, null).",
    f"DETAIL:  Key (token)=({NEEDLE}) already exists.",
    f"DETAIL:  Key (tenant, api_key)=(4, {NEEDLE}) already exists.",
    f"LINE 1: SELECT * FROM u WHERE p = '{NEEDLE}' AND\n                ^",
    f"LINE 1: ...{NEEDLE}' AND b = 'x'",
    f"for the right syntax to use near '{NEEDLE}' AND 1' at line 1",
    f"Duplicate entry '{NEEDLE}' for key 'users.api_token'",
    f'invalid input syntax for type integer: "{NEEDLE}"',
    f"invalid input for query argument $1: '{NEEDLE}' ('str' object cannot be interpreted as an integer)",
    f"Incorrect integer value: '{NEEDLE}' for column 'n' at row 1",
    f"unknown command 'AUTHX', with args beginning with: '{NEEDLE}'",
    f"1 error\npassword\n  Too short [type=string_too_short, input_value='{NEEDLE}', input_type=str]",
    f"1 error\nuser\n  Field required [type=missing, input_value={{'name': 'b', 'pass...rd': '{NEEDLE}'}}, input_type=dict]",
]

INNOCENT = [
    "[SQL: SELECT a FROM b WHERE c = ?]\n[parameters: ()]",
    "DETAIL:  Key (id)=(4711) already exists.",
    "DETAIL:  Key (customer_id)=(5) is not present in table",
    "UNIQUE constraint failed: users.email",
    "Duplicate entry 'bob@example.org' for key 'users.email'",
    'relation "orders" does not exist\nLINE 1: SELECT * FROM orders\n                      ^',
    "1 error\nquantity\n  Too big [type=less_than_equal, input_value=4711, input_type=int]",
    "(0.001) SELECT a FROM b; args=None; alias=default",
    "a [list] of (things) that's \"quoted\": 'x'",
]


@pytest.mark.parametrize("text", SECRET)
def test_what_they_quote_is_masked(text: str) -> None:
    masked = quoting.masked(text)
    assert NEEDLE not in masked
    assert quoting.masked(masked) == masked
    assert masked.count("\n") == text.count("\n")


@pytest.mark.parametrize("text", INNOCENT)
def test_what_tells_nothing_stays(text: str) -> None:
    assert quoting.masked(text) == text


def test_a_database_of_today_says_what_we_know_of() -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        sqlite3.connect(":memory:").execute(f"SELECT '{NEEDLE}")
    assert NEEDLE in str(caught.value)
    assert NEEDLE not in quoting.masked(str(caught.value))
