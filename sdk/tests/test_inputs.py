"""Literals of statements."""

from __future__ import annotations

from brakit.inputs import literals_of


def test_literals_by_place() -> None:
    assert literals_of("SELECT 'a''b' FROM t WHERE x = 42 AND y LIKE '%z%' LIMIT 10 -- 'c'") == {2: "a'b", 8: "42", 12: "z"}
