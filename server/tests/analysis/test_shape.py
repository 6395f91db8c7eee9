from __future__ import annotations

from typing import Any

import pytest

from brakit_server.analysis.shape import list_length, shape_key, unified, values_outside_lists


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM t WHERE b = 5 AND c = 'x''y'",
        "SELECT a  FROM t -- why\n WHERE b = $1 AND c = $2::text",
        "SELECT a FROM t WHERE b = %s AND c = %(name)s",
        "SELECT a FROM /* x */ t WHERE b = :b AND c = -1.5",
        "SELECT a FROM t WHERE b = ? AND c = ?",
    ],
)
def test_every_style_of_values_is_the_same(sql: str) -> None:
    assert unified(sql) == "SELECT a FROM t WHERE b = ? AND c = ?"


def test_names_with_digits_and_casts_stay() -> None:
    assert unified('SELECT t1.a2, x::int FROM "t3" AS t1') == 'SELECT t1.a2, x::int FROM "t3" AS t1'


def test_lists() -> None:
    sql = "SELECT * FROM t WHERE a IN ($1, $2, $3) AND b IN (SELECT 1) AND c = $4"
    assert (list_length(sql), values_outside_lists(sql)) == (3, 2)
    assert list_length("SELECT 1") == 0


def test_a_query_without_a_hash_still_has_a_key(make: Any) -> None:
    one, other = make.query(shape_hash=None), make.query("SELECT 2", shape_hash=None)
    assert shape_key(one) != shape_key(other)
    assert shape_key(make.query(shape_hash="a" * 16)) == "a" * 16
