"""Statements of all dialects: what they do, to which table, their shape, and the properties that hold for any text."""

from __future__ import annotations

import gc
import time

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from brakit.events import OPERATIONS
from brakit.sql import LIMIT, summarize
from brakit.sqltext import KEYWORDS

STATEMENTS = [
    # SELECT
    ("SELECT id FROM users WHERE id = %s", "SELECT", "users"),
    ('SELECT u."id" FROM "public"."users" AS u', "SELECT", "users"),
    ("SELECT `id` FROM `shop`.`order items`", "SELECT", "order items"),
    ("SELECT TOP (10) [id] FROM [dbo].[Order Details] WITH (NOLOCK)", "SELECT", "Order Details"),
    ("SELECT id FROM shop..users", "SELECT", "users"),
    ("select extract(year from created) from orders", "SELECT", "orders"),
    ("SELECT trim(both ' ' from name), substring(a from 2 for 3) FROM people", "SELECT", "people"),
    ("SELECT a IS DISTINCT FROM b FROM pairs", "SELECT", "pairs"),
    ("SELECT (SELECT count(*) FROM items WHERE items.o = orders.id) FROM orders", "SELECT", "orders"),
    ("SELECT * FROM (SELECT id FROM inner_one) t JOIN outer_one ON true", "SELECT", "inner_one"),
    ("SELECT * FROM ((a JOIN b ON a.x = b.x) JOIN c ON true)", "SELECT", "a"),
    ("(SELECT id FROM a) UNION ALL (SELECT id FROM b)", "SELECT", "a"),
    ("SELECT EXISTS(SELECT 1 FROM carts)", "SELECT", "carts"),
    ("SELECT * FROM ONLY parents", "SELECT", "parents"),
    ("SELECT * FROM generate_series(1, 10) AS g JOIN days ON days.n = g", "SELECT", "days"),
    ("SELECT * FROM unnest($1::int[])", "SELECT", ""),
    ("SELECT * FROM users, LATERAL (SELECT * FROM posts) p", "SELECT", "users"),
    ("SELECT now()", "SELECT", ""),
    ("SELECT 1", "SELECT", ""),
    ("VALUES (1, 2), (3, 4)", "SELECT", ""),
    ("SELECT * FROM users FOR UPDATE SKIP LOCKED", "SELECT", "users"),
    ("SELECT * INTO archive FROM orders", "SELECT", "orders"),
    ("SELECT data->>'name', data #>> '{a,b}' FROM documents WHERE data @> $1", "SELECT", "documents"),
    ("SELECT * FROM users u STRAIGHT_JOIN posts", "SELECT", "users"),
    ("SELECT a FROM größen", "SELECT", "größen"),
    ("SELECT a FROM #recent", "SELECT", "#recent"),
    ("SELECT a FROM events FINAL PREWHERE x = 1", "SELECT", "events"),
    # leading comments and CTEs
    ("/* app:shop */ SELECT 1 FROM a", "SELECT", "a"),
    ("-- who\n-- why\n  select 1 from a", "SELECT", "a"),
    ("# mysql\nSELECT 1 FROM a", "SELECT", "a"),
    ("WITH x AS (SELECT * FROM a) SELECT * FROM x JOIN b ON b.id = x.id", "SELECT", "b"),
    ("WITH x AS (SELECT * FROM a) SELECT * FROM x", "SELECT", "a"),
    ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT * FROM t", "SELECT", ""),
    ("WITH x AS MATERIALIZED (SELECT 1), y AS (SELECT 2) INSERT INTO logs SELECT * FROM x", "INSERT", "logs"),
    ("WITH d AS (DELETE FROM old RETURNING *) SELECT * FROM d", "SELECT", "old"),
    ("WITH x AS (SELECT id FROM a) UPDATE b SET c = 1 FROM x WHERE x.id = b.id", "UPDATE", "b"),
    (";WITH x AS (SELECT 1 AS n) DELETE FROM c WHERE n IN (SELECT n FROM x)", "DELETE", "c"),
    # INSERT
    ("INSERT INTO users (a, b) VALUES (?, ?), (?, ?)", "INSERT", "users"),
    ('insert into "public"."users" default values', "INSERT", "users"),
    ("INSERT INTO users(a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = excluded.a RETURNING id", "INSERT", "users"),
    ("INSERT OR IGNORE INTO users VALUES (:a)", "INSERT", "users"),
    ("INSERT IGNORE users VALUES (1)", "INSERT", "users"),
    ("INSERT INTO a SELECT * FROM b", "INSERT", "a"),
    ("REPLACE INTO settings VALUES ('a')", "INSERT", "settings"),
    # UPDATE, MERGE
    ("UPDATE users SET a = %(a)s WHERE id = %(id)s", "UPDATE", "users"),
    ("UPDATE ONLY a SET b = 1", "UPDATE", "a"),
    ("UPDATE OR REPLACE a SET b = 1", "UPDATE", "a"),
    ("UPDATE u SET name = @p1 FROM users u WHERE u.id = @p2", "UPDATE", "users"),
    ("UPDATE `shop`.`users` AS u SET a = 1", "UPDATE", "users"),
    ("MERGE INTO target AS t USING source AS s ON t.id = s.id WHEN MATCHED THEN DELETE", "UPDATE", "target"),
    # DELETE
    ("DELETE FROM users WHERE id = 1", "DELETE", "users"),
    ("DELETE FROM ONLY users USING a WHERE true", "DELETE", "users"),
    ("DELETE u FROM users u JOIN posts p ON p.u = u.id", "DELETE", "users"),
    ("DELETE TOP (5) FROM dbo.jobs", "DELETE", "jobs"),
    ("DELETE FROM a WHERE id IN (SELECT a_id FROM b)", "DELETE", "a"),
    # the rest
    ("CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY)", "OTHER", "users"),
    ("CREATE UNIQUE INDEX i ON users (email)", "OTHER", "users"),
    ("ALTER TABLE ONLY public.users ADD COLUMN a int", "OTHER", "users"),
    ("DROP TABLE IF EXISTS users", "OTHER", "users"),
    ("TRUNCATE TABLE users", "OTHER", "users"),
    ("COPY users (a, b) FROM STDIN", "OTHER", "users"),
    ("EXPLAIN ANALYZE SELECT * FROM users", "OTHER", "users"),
    ("CALL refresh(1)", "OTHER", ""),
    ("SET LOCAL app.tenant = '42'", "OTHER", ""),
    ("BEGIN", "OTHER", ""),
    ("", "OTHER", ""),
    ("-- nothing", "OTHER", ""),
    ("((((", "OTHER", ""),
    ("{'find': 'users'}", "OTHER", ""),
]


@pytest.mark.parametrize(("sql", "operation", "table"), STATEMENTS)
def test_operation_and_table(sql: str, operation: str, table: str) -> None:
    summary = summarize(sql)
    assert (summary.operation, summary.table) == (operation, table)
    assert summarize(summary.sql).shape_hash == summary.shape_hash


AGREED = [
    *(
        "SELECT a, b FROM users WHERE a = 1 ORDER BY b",
        "SELECT count(*) FROM orders AS o LEFT JOIN users AS u ON u.id = o.user_id",
    ),
    *("SELECT x.a FROM (SELECT a FROM deep WHERE b = 2) AS x", "SELECT * FROM a, b WHERE a.id = b.id"),
    *("WITH c AS (SELECT 1 AS n) SELECT * FROM real_one CROSS JOIN c", "SELECT a FROM t1 UNION SELECT a FROM t2"),
    *("INSERT INTO log (a) VALUES (1)", "INSERT INTO log SELECT a FROM src", "UPDATE users SET a = 1 WHERE b = 2"),
    *(
        "DELETE FROM sessions WHERE expires < 3",
        "SELECT CASE WHEN a THEN 1 ELSE 2 END FROM flags",
        "SELECT max(a) FROM t GROUP BY b",
    ),
    *("SELECT EXTRACT(year FROM d) FROM dates", "SELECT a FROM s.t WHERE EXISTS(SELECT 1 FROM u)", "SELECT a FROM b.c.d"),
    *("SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM win", "SELECT a FROM t WHERE b IN (SELECT c FROM u)"),
    *("UPDATE s.t SET a = (SELECT b FROM u)", "DELETE FROM s.t WHERE a IN (SELECT b FROM u)", 'SELECT "a" FROM "Quoted Name"'),
]


@pytest.mark.parametrize("dialect", ["postgres", "sqlite", "mysql", "tsql", "oracle"])
@pytest.mark.parametrize("sql", AGREED)
def test_a_parser_is_of_the_same_opinion(sql: str, dialect: str) -> None:
    written = sqlglot.parse_one(sql, read="postgres").sql(dialect=dialect)
    tree = sqlglot.parse_one(written, read=dialect)
    common = {cte.alias for cte in tree.find_all(exp.CTE)}
    main: exp.Expr = tree
    while isinstance(main, exp.SetOperation):
        main = main.left
    source = main.args.get("from_") if isinstance(main, exp.Select) else main
    assert source is not None
    tables = [table.name for table in source.find_all(exp.Table) if table.name not in common]
    summary = summarize(written)
    assert (summary.operation, summary.table) == (type(main).__name__.upper(), tables[0])


SHAPES = [
    ("select  *\nfrom users -- x\nwhere id=1", "SELECT * FROM users WHERE id = ?"),
    ("SELECT a.b FROM a WHERE c IN (1, 2, 3)", "SELECT a.b FROM a WHERE c IN (?)"),
    ("SELECT a FROM b WHERE (c, d) IN ((1, 2), (3, 4))", "SELECT a FROM b WHERE (c, d) IN ((?, ?))"),
    ("INSERT INTO a (b, c) VALUES (1, NULL), (2, 'x')", "INSERT INTO a (b, c) VALUES (?)"),
    ("INSERT INTO a VALUES ($1::int, now()), ($2::int, now())", "INSERT INTO a VALUES (?::int, now())"),
    ("SELECT -5, - 5, 3-5, (-1.5e-3)", "SELECT ?, ?, ? - ?, (?)"),
    ("SELECT 'it''s', N'x', E'a\\'b', x'ff', 0xFF, $$a 'b' c$$, $t$ $$ $t$", "SELECT ?, ?, ?, ?, ?, ?, ?"),
    ("SELECT ARRAY[1, 2, 3], a[1]", "SELECT ARRAY[?], a[?]"),
    (
        "WHERE a=? AND b=?1 AND c=$1 AND d=%s AND e=%(n)s AND f=:n AND g=@p",
        "WHERE a = ? AND b = ? AND c = ? AND d = ? AND e = ? AND f = ? AND g = ?",
    ),
    ("SELECT a FROM b LIMIT 10 OFFSET 20;", "SELECT a FROM b LIMIT ? OFFSET ?;"),
    ("SELECT a::text, b || 'x', c->>'d' FROM t", "SELECT a::text, b || ?, c ->> ? FROM t"),
    ('SELECT "from" FROM "t" WHERE "a" = "b"', 'SELECT "from" FROM "t" WHERE "a" = "b"'),
    ('SELECT `a` FROM `t` WHERE b = "secret"', "SELECT `a` FROM `t` WHERE b = ?"),
    ('SELECT a FROM t WHERE b = "bob"', "SELECT a FROM t WHERE b = ?"),
    ("SELECT a FROM t WHERE b LIKE ? ESCAPE '\\' AND c = 'x'", "SELECT a FROM t WHERE b LIKE ? ESCAPE ? AND c = ?"),
    ("SELECT 'say \\'hi\\' now', b FROM t", "SELECT ?, b FROM t"),
    ("SELECT 10 % 3, a FROM b", "SELECT ? % ?, a FROM b"),
]


@pytest.mark.parametrize(("sql", "shape"), SHAPES)
def test_shape(sql: str, shape: str) -> None:
    summary = summarize(sql)
    assert summary.shape == shape
    assert summarize(summary.sql).shape_hash == summary.shape_hash
    assert len(summary.shape_hash) == 16


def test_literals_are_masked_and_the_writing_is_kept() -> None:
    sql = "SELECT *\n  FROM users -- token=abc123\n WHERE name = 'Bob''s' AND age > 41 AND id = %s /* password=hunter2*/ LIMIT 10"
    assert (
        summarize(sql).sql
        == "SELECT *\n  FROM users -- token=****\n WHERE name = '****' AND age > ? AND id = %s /* password=*****/ LIMIT 10"
    )


MARKS = {
    "BEGIN": "begin",
    "begin immediate": "begin",
    "BEGIN ISOLATION LEVEL SERIALIZABLE;": "begin",
    "START TRANSACTION READ ONLY": "begin",
    "BEGIN TRAN": "begin",
    "COMMIT": "commit",
    "/* done */ commit;": "commit",
    "END TRANSACTION": "commit",
    "ROLLBACK": "rollback",
    "ABORT": "rollback",
    "ROLLBACK TO SAVEPOINT a": "rollback_to",
    'rollback to "a"': "rollback_to",
    "SAVEPOINT a": "savepoint",
    "SAVE TRANSACTION a": "savepoint",
    "RELEASE SAVEPOINT a": "release",
    "PREPARE TRANSACTION 'x'": "prepare",
    "COMMIT PREPARED 'x'": "commit",
    "XA START 'x'": "begin",
    "XA COMMIT 'x' ONE PHASE": "commit",
}
NO_MARKS = [
    *("SELECT 1 FROM a", "SET LOCAL app.tenant = '42'", "", ";", "CALL x()", "SHOW transaction_isolation"),
    *(
        "PREPARE a AS SELECT 1",
        "START SLAVE",
        "BEGIN NULL; END",
        "BEGIN dbms_output.put_line('x'); END;",
        "END IF",
        "SAVE x",
        "XA END 'x'",
    ),
    "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
]


@pytest.mark.parametrize(("sql", "mark"), MARKS.items())
def test_what_a_statement_does_to_its_transaction(sql: str, mark: str) -> None:
    assert summarize(sql).mark == mark


@pytest.mark.parametrize("sql", NO_MARKS)
def test_every_other_statement_has_no_mark(sql: str) -> None:
    assert summarize(sql).mark is None


LITERALS = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.floats(0, 1e9, allow_nan=False).map(repr),
    st.text(st.characters(exclude_characters="'\\\0")).map(lambda text: "'" + text + "'"),
    st.sampled_from(["$$a ' b$$", "x'0f'", "0x1F", "?", "%s", "$3", ":name", "@p1", "%(name)s", "E'\\''", "N'ü'"]),
)
GAPS = st.sampled_from([" ", "\n", "\t  ", " -- why\n", " /* who: 'x */ ", " /**/ "])


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_the_shape_does_not_depend_on_values_gaps_or_lengths(data: st.DataObject) -> None:
    def some(strategy: st.SearchStrategy[str]) -> str:
        return data.draw(strategy)

    def written() -> str:
        values = ", ".join(data.draw(st.lists(LITERALS, min_size=1, max_size=5)))
        parts = ["SELECT", "a.id", ",", "b", "FROM", "a", "WHERE", "c", "=", some(LITERALS)]
        parts += ["AND", "d", "IN", "(", values, ")", "AND", "e", ">", some(LITERALS)]
        return "".join(part + some(GAPS) for part in parts)

    assert summarize(written()).shape_hash == summarize(written()).shape_hash


PIECES = st.sampled_from(
    [
        *(statement for statement, *_ in STATEMENTS),
        *(sorted(KEYWORDS)),
        *(
            "'",
            "''",
            "\\",
            "\\'",
            '"',
            "`",
            "[",
            "]",
            "(",
            ")",
            ",",
            ".",
            ";",
            "-",
            "--",
            "/*",
            "*/",
            "#",
            "$",
            "$$",
            "$a$",
            "?",
            "%s",
        ),
        *(
            "%(",
            ":a",
            "::",
            "@p",
            "@@v",
            "1",
            ".5",
            "1e",
            "0x",
            "a",
            "é",
            "e'",
            "N'",
            "u&'",
            " ",
            "\n",
            "\0",
            "\ud800",
            "****",
            "+",
        ),
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=16).map("".join), st.lists(PIECES, max_size=16).map(" ".join)))
@settings(max_examples=800, deadline=None)
def test_any_text_is_taken_and_masking_keeps_the_shape(sql: str) -> None:
    summary = summarize(sql)
    again = summarize(summary.sql)
    assert again.shape == summary.shape
    assert again.shape_hash == summary.shape_hash
    assert summary.operation in OPERATIONS


@given(
    st.text("abcdefghij0123456789", min_size=12, max_size=20),
    st.sampled_from(["'{}'", "N'{}'", "$${}$$", "$q${}$q$", "E'\\'{}'", "'a\\'{}'"]),
)
@settings(max_examples=200, deadline=None)
def test_no_literal_survives(secret: str, form: str) -> None:
    literal = form.format(secret)
    for sql in (
        f"SELECT * FROM a WHERE b = {literal}",
        f"INSERT INTO a VALUES (1, {literal}, 2)",
        f"CALL f({literal})",
        f"x {literal[:-1]}",
    ):
        summary = summarize(sql)
        assert secret not in summary.sql
        assert secret not in summary.shape


def test_what_is_beyond_the_limit_counts_in_the_hash() -> None:
    head = "SELECT a FROM b WHERE c IN (" + "1, " * (LIMIT // 3)
    one, other, same = (summarize(head + tail) for tail in ("2) AND d = 1", "2) AND e = 1", "2) AND d = 1"))
    assert one.shape == other.shape
    assert one.shape_hash != other.shape_hash
    assert one.shape_hash == same.shape_hash
    assert summarize(one.sql).shape_hash == one.shape_hash
    assert (one.operation, one.table) == ("SELECT", "b")


WORST = [
    *(
        "'",
        "\\'",
        "'\\",
        '"',
        '"a',
        "`",
        "[a",
        "(",
        "((a,",
        "$a$",
        "$",
        "$$",
        "/*",
        "*/",
        "--",
        "-",
        "?",
        "%(",
        ":",
        "@",
        "1",
        "1.",
        "a",
    ),
    *(
        "a ",
        "select ",
        "select a from b,",
        "from a join ",
        "with a as (",
        "'\\' ",
        "'\\'   ",
        "a.",
        "e'",
        "::",
        "1e",
        "#",
        "delete from ",
    ),
]


@pytest.mark.parametrize("before", ["", "SELECT * FROM t WHERE x IN (", "INSERT INTO t VALUES "])
@pytest.mark.parametrize("unit", WORST)
def test_time_grows_with_the_length_and_no_faster(unit: str, before: str) -> None:
    """Quadratic time would be 12 times as long for 3.5 times the text; the floor keeps small times from being compared."""
    small, large = (_cpu(before + (unit * size)[:size]) for size in (18_000, 63_000))
    assert large < 8 * max(small, 0.004)


def _cpu(sql: str) -> float:
    """The better of two runs; texts of this length are not cached. The collector would count the whole process's objects in."""
    times = []
    gc.disable()
    try:
        for _ in range(2):
            start = time.process_time()
            summarize(sql)
            times.append(time.process_time() - start)
    finally:
        gc.enable()
    return min(times)


def test_a_repeated_statement_is_summed_up_once() -> None:
    assert summarize("SELECT a FROM b WHERE c = 1") is summarize("SELECT a FROM b WHERE c = 1")
