"""Says what a SQL statement does, to which table, and what is left of it without its values.

`summarize` takes the statement of any dialect, whole or cut off, never raises, and takes time linear in its length. It reads
tokens, not grammar: what it cannot make out is `OTHER` and no table.
"""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b

from brakit.sqltext import KEYWORDS, Token, read

LIMIT = 65_536
"""Characters of a statement that are read; the rest goes into the hash only."""


NO_SQL = frozenset(("redis", "mongodb", "elasticsearch"))
"""Systems whose statements are no SQL: who writes one down says himself what it does, and leaves its values out."""


class Summary:
    """What is known of a statement.

    `operation` is one of `events.OPERATIONS`. `table` is the main table without schema and quotes, empty when there is none.
    `shape` is the statement without comments, with keywords in upper case, every literal and placeholder as `?`, and lists of
    values collapsed. `shape_hash` is 16 hex digits over it. `sql` is the statement as it was written, its strings masked as
    `'****'` and its numbers as `?`. `mark` is one of `events.MARKS` for transaction control, else None. `literals` is equal for
    equal strings and numbers in the text, empty where there are none; it does not leave the process.
    """

    __slots__ = ("literals", "mark", "operation", "shape", "shape_hash", "sql", "table")

    def __init__(
        self, operation: str, table: str, shape: str, shape_hash: str, sql: str, mark: str | None, literals: str
    ) -> None:
        self.operation = operation
        self.table = table
        self.shape = shape
        self.shape_hash = shape_hash
        self.sql = sql
        self.mark = mark
        self.literals = literals


def summarize(sql: str) -> Summary:
    """The summary of a statement; repeated statements come from a cache that is bounded in entries and in size."""
    return _short(sql) if len(sql) <= 2_048 else _long(sql) if len(sql) <= 16_384 else _summarize(sql)


# Shape

_PLAIN = frozenset(("?", "NULL", "TRUE", "FALSE", "DEFAULT"))


class _Group:
    """An open bracket: what it is (`list`, `row` or nothing of interest), where its elements start, what it repeats."""

    __slots__ = ("element", "kind", "previous", "row")

    def __init__(self, kind: str, element: int) -> None:
        self.kind = kind
        self.element = element
        self.previous: list[str] | None = None
        self.row: list[str] | None = None


def _collapsed(tokens: list[Token]) -> list[str]:
    """The texts of the tokens, with lists of equal elements and equal rows of values cut to one."""
    out: list[str] = []
    groups = [_Group("", 0)]
    for token in tokens:
        text = token.text
        group = groups[-1]
        before = out[-1] if out else ""
        if text == "?":
            while out and out[-1] in ("-", "+") and not (len(out) > 1 and _is_operand(out[-2])):
                out.pop()
        if text in ("(", "["):
            if (text == "(" and before == "IN") or (text == "[" and before.upper() == "ARRAY"):
                kind = "list"
            elif text == "(" and (before == "VALUES" or (before == "," and group.row is not None)):
                kind = "row"
            else:
                kind = ""
            out.append(text)
            groups.append(_Group(kind, len(out)))
        elif text in (")", "]") and len(groups) > 1:
            _end_element(out, group)
            groups.pop()
            out.append(text)
            if group.kind == "row":
                _end_row(out, group.element, groups[-1])
        elif text == ",":
            _end_element(out, group)
            out.append(text)
            if group.kind == "list":
                group.element = len(out)
        else:
            group.row = None
            out.append(text)
    return out


def _is_operand(text: str) -> bool:
    return text in (")", "]", "?") or (text not in KEYWORDS and (text[0].isalnum() or text[0] in '_"`#@'))


def _end_element(out: list[str], group: _Group) -> None:
    if group.kind != "list":
        return
    element = out[group.element :]
    if len(element) == 1 and element[0] in _PLAIN:
        out[-1:] = element = ["?"]
    if group.previous == element:
        del out[group.element - 1 :]
        group.element = len(out)
    group.previous = element


def _end_row(out: list[str], start: int, around: _Group) -> None:
    elements = out[start:-1]
    if elements and all(text == "," or text in _PLAIN for text in elements):
        out[start:-1] = ["?"]
    row = out[start - 1 :]
    if around.row == row:
        del out[start - 2 :]
    else:
        around.row = row


def _joined(texts: list[str]) -> str:
    out: list[str] = []
    before = ""
    for at, text in enumerate(texts):
        tight = (
            not before
            or before in ("(", "[", ".", "::")
            or text in (",", ")", "]", ".", ";", "[", "::")
            or (text == "(" and before not in KEYWORDS and _is_operand(before) and texts[at - 2] != "INTO")
        )
        out.append(text if tight else " " + text)
        before = text
    return "".join(out)


# What the statement does, and to which table


def _name(tokens: list[Token], at: int) -> tuple[str, int]:
    """The last part of the name at `at`, unquoted, and where the name ends; an empty name where none stands."""
    name = ""
    while at < len(tokens):
        token = tokens[at]
        if token.kind not in ("word", "quoted") or token.text in KEYWORDS:
            break
        name = _unquoted(token.text)
        at += 1
        if not (at < len(tokens) and tokens[at].text == "."):
            break
        while at < len(tokens) and tokens[at].text == ".":
            at += 1
    return name, at


def _unquoted(text: str) -> str:
    mark = text[0]
    if mark == "[":
        return text[1:-1]
    if mark in '"`':
        inner = text[1:-1] if len(text) > 1 and text[-1] == mark else text[1:]
        return inner.replace(mark * 2, mark)
    return text


_NO_SOURCES = frozenset(
    ("WHERE", "GROUP", "ORDER", "HAVING", "LIMIT", "SET", "SELECT", "UNION", "EXCEPT", "INTERSECT", "RETURNING", "VALUES", "FOR")
)


def _sources(tokens: list[Token]) -> list[tuple[int, str, str]]:
    """The tables that are read from, in order: index of the token, name, alias."""
    found: list[tuple[int, str, str]] = []
    queries, lists = [True], [False]
    expected = False
    for at, token in enumerate(tokens):
        text = token.text
        if text == "(":
            queries.append(False)
            lists.append(expected)
        elif text == ")":
            if len(queries) > 1:
                queries.pop()
                lists.pop()
            expected = False
        elif text == ",":
            expected = lists[-1]
        elif text == "JOIN" or (token.kind == "word" and text.upper() == "STRAIGHT_JOIN"):
            expected = lists[-1] = True
        elif text == "FROM":
            if queries[-1] and not (at and tokens[at - 1].text == "DISTINCT"):
                expected = lists[-1] = True
        elif text in _NO_SOURCES or text in ("DELETE", "UPDATE"):
            queries[-1] = queries[-1] or text in ("SELECT", "DELETE", "UPDATE")
            expected = lists[-1] = False
        elif expected and text not in ("ONLY", "LATERAL"):
            expected = False
            name, end = _name(tokens, at)
            if name and not (end < len(tokens) and tokens[end].text == "("):
                alias = _name(tokens, end + 1 if end < len(tokens) and tokens[end].text == "AS" else end)[0]
                found.append((at, name, alias))
    return found


def _closing(tokens: list[Token], at: int) -> int:
    """Index behind the bracket that closes the one at `at`."""
    depth = 0
    while at < len(tokens):
        depth += {"(": 1, ")": -1}.get(tokens[at].text, 0)
        at += 1
        if depth == 0:
            break
    return at


def _common_tables(tokens: list[Token], at: int) -> tuple[set[str], int]:
    """The names that a WITH clause defines, and where the statement behind it begins."""
    names: set[str] = set()
    while at < len(tokens):
        if tokens[at].text == "RECURSIVE":
            at += 1
        name, at = _name(tokens, at)
        if not name:
            break
        names.add(name)
        if at < len(tokens) and tokens[at].text == "(":
            at = _closing(tokens, at)
        while at < len(tokens) and tokens[at].text in ("AS", "NOT", "MATERIALIZED"):
            at += 1
        if at < len(tokens) and tokens[at].text == "(":
            at = _closing(tokens, at)
        if not (at < len(tokens) and tokens[at].text == ","):
            break
        at += 1
    return names, at


_VERBS = {
    "SELECT": "SELECT",
    "VALUES": "SELECT",
    "INSERT": "INSERT",
    "REPLACE": "INSERT",
    "UPSERT": "INSERT",
    "UPDATE": "UPDATE",
    "MERGE": "UPDATE",
    "DELETE": "DELETE",
}
_BEFORE_TARGET = frozenset(
    (
        *(
            "INTO",
            "FROM",
            "ONLY",
            "OR",
            "REPLACE",
            "IGNORE",
            "ROLLBACK",
            "ABORT",
            "FAIL",
            "TABLE",
            "IF",
            "NOT",
            "EXISTS",
            "OVERWRITE",
        ),
        *("LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "QUICK"),
    )
)


def _target(tokens: list[Token], at: int) -> str:
    """The table that a statement changes; `at` is behind its verb."""
    while at < len(tokens):
        word = tokens[at].text.upper()
        if word == "TOP":
            at = _closing(tokens, at + 1)
        elif word in _BEFORE_TARGET and tokens[at].kind != "quoted":
            at += 1
        else:
            break
    return _name(tokens, at)[0]


def _judged(tokens: list[Token]) -> tuple[str, str]:
    """Operation and main table."""
    at, end = 0, len(tokens)
    common: set[str] = set()
    while at < end and tokens[at].text in ("(", ";"):
        at += 1
    if at < end and tokens[at].text == "WITH":
        common, at = _common_tables(tokens, at + 1)
        while at < end and tokens[at].text == "(":
            at += 1
    if at >= end:
        return "OTHER", ""
    verb = tokens[at].text.upper()
    operation = _VERBS.get(verb, "OTHER")
    sources = _sources(tokens)
    if operation == "SELECT":
        start = _from(tokens, at)
        real = [(place, name) for place, name, _ in sources if name not in common]
        return operation, next((name for place, name in real if place > start), real[0][1] if real else "")
    if operation == "OTHER":
        return operation, _subject(tokens, at, verb) or next((name for _, name, _ in sources), "")
    start = _from(tokens, at) if verb == "DELETE" else at
    table = _target(tokens, start + 1)
    names = {name for _, name, _ in sources}
    aliases = {alias: name for _, name, alias in sources if alias}
    return operation, aliases[table] if table in aliases and table not in names else table


def _from(tokens: list[Token], at: int) -> int:
    """Index of the FROM that belongs to the verb at `at`; `at` itself when it has none."""
    depth = 0
    for place in range(at, len(tokens)):
        text = tokens[place].text
        if text == "(":
            depth += 1
        elif text == ")":
            depth -= 1
            if depth < 0:
                break
        elif text == "FROM" and depth == 0 and tokens[place - 1].text != "DISTINCT":
            return place
        elif text in ("WHERE", "UNION") and depth == 0:
            break
    return at


def _subject(tokens: list[Token], at: int, verb: str) -> str:
    """What a statement that is none of the four works on: the table of CREATE TABLE, TRUNCATE, COPY and the like."""
    head = [token.text.upper() for token in tokens[at : at + 16]]
    if verb in ("TRUNCATE", "COPY", "VACUUM", "ANALYZE", "LOCK", "DESCRIBE", "DESC"):
        return _target(tokens, at + 1)
    if verb in ("CREATE", "ALTER", "DROP"):
        if "INDEX" in head[:4]:
            return _target(tokens, at + head.index("ON") + 1) if "ON" in head else ""
        for word in ("TABLE", "VIEW"):
            if word in head[:6]:
                return _target(tokens, at + head.index(word) + 1)
    return ""


# Transactions

_MARKS = {
    "BEGIN": "begin",
    "COMMIT": "commit",
    "END": "commit",
    "ABORT": "rollback",
    "SAVEPOINT": "savepoint",
    "RELEASE": "release",
}

_XA = {"START": "begin", "BEGIN": "begin", "PREPARE": "prepare", "COMMIT": "commit", "ROLLBACK": "rollback"}
"""MySQL's words of two-phase transactions; its `XA END` only ends the list of statements."""


def _mark(tokens: list[Token]) -> str | None:
    """What a statement of transaction control does; `BEGIN` of a block of PL/SQL is none."""
    words = [token.text.upper() for token in tokens[:5] if token.text != ";"]
    first, second = (*words, "", "")[:2]
    if first in ("START", "PREPARE"):
        return {"START": "begin", "PREPARE": "prepare"}[first] if second == "TRANSACTION" else None
    if first == "XA":
        return _XA.get(second)
    if first == "SAVE":
        return "savepoint" if second in ("TRAN", "TRANSACTION") else None
    if first == "ROLLBACK":
        return "rollback_to" if "TO" in words else "rollback"
    if first == "SET":
        return None
    if first in ("BEGIN", "END") and second not in _AFTER:
        return None
    return _MARKS.get(first)


_AFTER = frozenset(
    ("", "TRANSACTION", "TRAN", "WORK", "DEFERRED", "IMMEDIATE", "EXCLUSIVE", "CONCURRENT", "ISOLATION", "READ", "NOT", "AND")
)
"""Words that may follow BEGIN and END of a transaction, in PostgreSQL, SQLite, MySQL and SQL Server."""


# The whole

_CUT = re.compile(r"\n/\* (\d{1,12}) more characters: ([0-9a-f]{16}) \*/\Z")


def hash_of(text: str) -> str:
    """16 hex digits over a shape."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _summarize(sql: str) -> Summary:
    rest = tail = ""
    if len(sql) > LIMIT:
        cut = _CUT.search(sql, len(sql) - 64)
        if cut and len(sql) <= 4 * LIMIT:
            sql, tail, rest = sql[: cut.start()], cut[0], cut[2]
        else:
            rest = hash_of(sql[LIMIT:])
            tail = f"\n/* {len(sql) - LIMIT} more characters: {rest} */"
            sql = sql[:LIMIT]
    tokens, masked, literals = read(sql)
    shape = _joined(_collapsed(tokens))
    operation, table = _judged(tokens)
    return Summary(
        operation, table, shape, hash_of(shape + rest), masked + tail, _mark(tokens), hash_of(repr(literals)) if literals else ""
    )


_short = lru_cache(maxsize=1_000)(_summarize)
_long = lru_cache(maxsize=64)(_summarize)
