"""Reading and writing filters: what is written is read as it was; what cannot be read says where and why, and nothing else happens."""

from __future__ import annotations

import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from server.tests.filters.strategies import trees

from brakit_server.filters import FilterError, Node, parse, text_of
from brakit_server.filters.grammar import MAX_DEPTH, MAX_LENGTH, MAX_PATTERNS, MAX_TERMS
from brakit_server.filters.tree import And, Compare, Not, Or, Value

MANY = settings(max_examples=3_000 if os.environ.get("BRAKIT_LONG") else 300, deadline=None, derandomize=True, database=None)


def word(text: str) -> Compare:
    return Compare("text", ":", (Value(text),))


def read(text: str) -> Node | FilterError | None:
    try:
        return parse(text)
    except FilterError as error:
        return error


def compare(field: str, operator: str, *values: str, key: str | None = None) -> Compare:
    return Compare(field, operator, tuple(Value(value) for value in values), key)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", None),
        (" \t\n", None),
        ("foo", word("foo")),
        ("12:30", word("12:30")),
        ("/api/x?y=1", word("/api/x?y=1")),
        ("and or not", And((word("and"), word("or"), word("not")))),
        ("-", word("-")),
        ("a - b", And((word("a"), word("-"), word("b")))),
        ('"status:404"', word("status:404")),
        (r'"a \"b\" \\ c"', word(r'a "b" \ c')),
        ('""', word("")),
        ("a*", word("a*")),
        ('"a*"', Compare("text", ":", (Value("a*", True),))),
        ("status:404", compare("status", ":", "404")),
        ("Status_Code:404", compare("status", ":", "404")),
        ("durationMs >= 1.5s", compare("duration", ">=", "1.5s")),
        ("rows>-1", compare("rows", ">", "-1")),
        ("table!=users", Not(compare("table", "=", "users"))),
        ("-table:users", Not(compare("table", ":", "users"))),
        ("NOT table:users x", And((Not(compare("table", ":", "users")), word("x")))),
        ("--x", Not(Not(word("x")))),
        ("a b OR c", Or((And((word("a"), word("b"))), word("c")))),
        ("a AND (b OR c)", And((word("a"), Or((word("b"), word("c")))))),
        ("a (b AND c)", And((word("a"), word("b"), word("c")))),
        ("status:(404 OR 5xx)", compare("status", ":", "404", "5xx")),
        ('table:("a b" OR c)', compare("table", ":", "a b", "c")),
        ("route:/api/*", compare("route", ":", "/api/*")),
        ("url~/re/", compare("url", "~", "re")),
        (r"url~/^\/a\.b (c)/i", compare("url", "~", r"(?i)^/a\.b (c)")),
        ("url~users.*", compare("url", "~", "users.*")),
        ('url~"a b"', compare("url", "~", "a b")),
        ("url!~/x/", Not(compare("url", "~", "x"))),
        ("url~(/a/ OR b)", compare("url", "~", "a", "b")),
        ("header.X-Foo:1", compare("header", ":", "1", key="x-foo")),
        ("response.header.location:/login", compare("response.header", ":", "/login", key="location")),
        ('fields."my key".sub:1', compare("fields", ":", "1", key="my key.sub")),
        ("fields:1", compare("fields", ":", "1")),
        ("cause.frame.file:a.py", compare("cause.frame.file", ":", "a.py")),
        ("url:http://x/y?z=(1", None),
    ],
)
def test_trees(text: str, tree: Node | None) -> None:
    if text.endswith("(1"):
        # A parenthesis is one of the filter's wherever it stands outside quotes.
        with pytest.raises(FilterError):
            parse(text)
        return
    assert parse(text) == tree


@MANY
@given(trees())
def test_what_is_written_is_read_as_it_was(tree: Node) -> None:
    assert parse(text_of(tree)) == tree


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("a OR", 5, "too early"),
        ("(a", 3, "too early"),
        ("a)", 2, "')'"),
        ("AND a", 1, "'AND'"),
        ("a OR OR b", 6, "'OR'"),
        ("status:", 8, "too early"),
        ("status:()", 9, "')'"),
        ("status:(1 2)", 11, "'2'"),
        ("tabel:users", 1, "'table'"),
        ("a http://x", 3, "quotes"),
        ('a "b', 3, "quote is not closed"),
        ('table:"b', 7, "quote is not closed"),
        ("url~/b", 5, "pattern is not closed"),
        ("url~/(/", 5, "not a pattern"),
        ("url~/(?=a)/", 5, "not a pattern"),
        (r"url~/(a)\1/", 5, "not a pattern"),
        ("url~/(a{1000}){1000}/", 5, "not a pattern"),
        ("url~/(.{0,500}){2}x/", 5, "too large"),
        ("a duration>5parsecs", 12, "no duration"),
        ("size>1lb", 6, "no size"),
        ("rows>many", 6, "no number"),
        ("status>high", 8, "no number"),
        ("level>high", 7, "no level"),
        ("since:yesterday", 7, "no time"),
        ("since:2026-02-30", 7, "no time"),
        ("at>0001-01-01", 4, "no time"),
        ("handled:perhaps", 9, "neither true nor false"),
        ("has:nothing", 5, "no field"),
        ("table>users", 1, "no '>'"),
        ("duration~/5/", 1, "no '~'"),
        ("since>5m", 1, "no '>'"),
        ("table.users:1", 1, "no field"),
        ('header."":1', 1, "name is missing"),
        ("a" * (MAX_LENGTH + 1), MAX_LENGTH + 1, "longer"),
        ("(" * 40 + "a" + ")" * 40, 1, ""),
        (" OR ".join(["-(a"] * 40) + ")" * 40, 1, f"{MAX_DEPTH} levels"),
        ("a " * (MAX_TERMS + 1), 2 * MAX_TERMS + 1, "comparisons"),
        ("status:(" + " OR ".join(["404"] * (MAX_TERMS + 1)) + ")", 1, "comparisons"),
        ("url~/a/ " * (MAX_PATTERNS + 1), 8 * MAX_PATTERNS + 1, "regular expressions"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(text: str, column: int, said: str) -> None:
    if not said:
        # Parentheses around one thing are no levels of the tree.
        assert parse(text) == word("a")
        return
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert (caught.value.column, said in caught.value.error) == (column, True), caught.value
    assert caught.value.error.isprintable()


def test_what_is_expected_is_named() -> None:
    for text, expected in {
        "a OR": "a field",
        "(a": ")",
        "duration>x": "200ms",
        "tabel:x": "table",
        "table>x": "~",
        "handled:x": "true",
        "url~/(/": "a regular expression, as RE2 takes it",
    }.items():
        with pytest.raises(FilterError) as caught:
            parse(text)
        assert expected in caught.value.expected, text


PIECES = (
    "status:",
    "url~",
    "/",
    "(",
    ")",
    '"',
    "OR ",
    "AND ",
    "NOT ",
    "-",
    "*",
    "\\",
    "4xx",
    ">",
    "..",
    "header.",
    "a",
    " ",
    "~",
    "!",
    "=",
    "\0",
    "ß",
    "\ud800",
)


@MANY
@given(st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
@example("(" * MAX_LENGTH)
@example("-" * (MAX_LENGTH - 1) + "x")
@example("NOT " * 499 + "x")
@example("url~/" + "(a*)*" * 100 + "/")
@example("\ud800:\udfff")
@example("url~/\ud800/")
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    found = read(text)
    if isinstance(found, FilterError):
        assert 1 <= found.column <= len(text) + 1
        assert found.error
    elif found is not None:
        assert parse(text_of(found)) == found
