"""Search: an index of three-letter runs over the distinct texts of each segment, which tells the segments that may hold a text.

It is made of parts, each of segments that follow each other. A part goes as a whole, with the last of its segments: to delete texts
from FTS5 one by one costs as much as to put them in, and makes it larger until it has merged them. What it still knows of segments that
are gone leads nowhere.
"""

from __future__ import annotations

import contextlib
import sqlite3
from itertools import pairwise

import zstandard

from brakit_server.stores.matching import texts
from brakit_server.stores.sqlite.kinds import ERROR, FETCH, JOB, KIND_BITS, LOG, QUERY, REQUEST
from brakit_server.stores.sqlite.packing import Block
from brakit_server.stores.sqlite.terms import Fragment
from brakit_server.stores.sqlite.view import EVERYWHERE, View

# Texts stand in it in one case; where they are is checked on them, so the index need not know it.
_PART = "CREATE VIRTUAL TABLE {} USING fts5(text, tokenize = 'trigram', detail = none, columnsize = 0)"

SEARCH = (
    _PART.format("search"),
    "CREATE TABLE unsearched (id INTEGER PRIMARY KEY)",
)
"""Part of a migration in schema.py. `unsearched` has the blocks whose texts are too many for the index."""

TABLES = ("unsearched",)

SEARCHED = (REQUEST, QUERY, FETCH, LOG, ERROR, JOB)

SHORTEST = 3
"""Characters that a text must have for the index to know it."""

BLOCK_CHARACTERS = 400_000
"""Distinct text of a block that is put into the index at most."""

RUNS = 3
"""Runs of three letters of a text that the index is asked for."""

HITS = 1_000
"""Texts that are found in the index at most; what is older than the last of them is looked at record by record."""

PART_SEGMENTS = 4
"""Segments of a part at least."""

PARTS = 5
"""A part has this fraction of the segments that are there when it is full: the larger the index, the larger its parts."""

BEHIND = 32
"""Segments that the index may be behind while there is never nothing else to do."""

ORDINAL_BITS = 14
"""Of the number of a text: its block, then a number of its own."""

_UPTO = "SELECT value FROM meta WHERE name = 'searched'"


def fragment(view: View, number: int, text: str) -> Fragment:
    """Segments where a record of the kind may have the text in it."""
    wanted = text.casefold()
    if len(wanted) < SHORTEST or "\0" in wanted:
        return EVERYWHERE
    rows: list[tuple[int]] = []
    for _, name in reversed(parts(view.connection)):
        find = "SELECT rowid FROM " + name + " WHERE " + name + " MATCH ? AND instr(text, ?) ORDER BY rowid DESC LIMIT ?"
        rows += view.connection.execute(find, (_rare(wanted), wanted, HITS - len(rows))).fetchall()
    blocks = {rowid >> ORDINAL_BITS for (rowid,) in rows}
    segments = sorted({block >> KIND_BITS for block in blocks if block % (1 << KIND_BITS) == number}, reverse=True)
    known = ", ".join(map(str, segments))
    sql = "segment.id IN (" + known + ") OR segment.id > ? OR segment.id * 16 + ? IN (SELECT id FROM unsearched)"
    parameters: list[object] = [upto(view.connection), number]
    if len(rows) == HITS:
        sql += " OR segment.id <= ?"
        parameters.append(rows[-1][0] >> (ORDINAL_BITS + KIND_BITS))
    if number == REQUEST:
        # Clients of the reference look a request up by searching for its id.
        owner, more = view.owner_fragment(text)
        sql, parameters = sql + " OR " + owner, [*parameters, *more]
    return sql, parameters


def _rare(text: str) -> str:
    """A query for the three runs of a text that few other texts are likely to have: of each the index reads all its places."""
    runs = {text[place : place + SHORTEST]: place for place in range(len(text) - SHORTEST + 1)}
    rarest = sorted(runs, key=lambda run: sum(map(_rarity, run)), reverse=True)[:RUNS]
    return " AND ".join('"' + run.replace('"', '""') + '"' for run in rarest)


def _rarity(letter: str) -> int:
    return 0 if letter in " etaoinsr" else 1 if letter.isalpha() and letter.isascii() and letter not in "jqxzvkw" else 3


def parts(connection: sqlite3.Connection) -> list[tuple[int, str]]:
    """The first segment that each part may hold, and the name of its table; in order."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'search*'").fetchall()
    numbers = ((name.removeprefix("search").removeprefix("_") or "0", name) for (name,) in rows)
    return sorted((int(number), name) for number, name in numbers if number.isdecimal())


def upto(connection: sqlite3.Connection) -> int:
    """The last segment that is in the index; 0 when none is."""
    found = connection.execute(_UPTO).fetchone()
    return int(found[0]) if found else 0


def behind(connection: sqlite3.Connection) -> bool:
    """Whether the index lags so far that it must not wait for a quiet moment."""
    found = connection.execute("SELECT 1 FROM segment WHERE id > ? LIMIT 1 OFFSET ?", (upto(connection), BEHIND)).fetchone()
    return found is not None


def step(connection: sqlite3.Connection) -> bool:
    """Put the texts of one more segment into the index, in a transaction; whether there was one."""
    found = connection.execute("SELECT id FROM segment WHERE id > ? ORDER BY id LIMIT 1", (upto(connection),)).fetchone()
    if found is None:
        return False
    first = int(found[0])
    connection.execute("BEGIN IMMEDIATE")
    insert = "INSERT INTO " + _part_for(connection, first) + " (rowid, text) VALUES (?, ?)"
    for number in SEARCHED:
        id = first << KIND_BITS | number
        row = connection.execute("SELECT n, data FROM block WHERE id = ?", (id,)).fetchone()
        if row is None:
            continue
        distinct = _distinct(first, number, *row)
        if distinct is None:
            connection.execute("INSERT OR REPLACE INTO unsearched (id) VALUES (?)", (id,))
        else:
            connection.executemany(insert, ((id << ORDINAL_BITS | place, text) for place, text in enumerate(distinct)))
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('searched', ?)", (first,))
    connection.execute("COMMIT")
    return True


def _part_for(connection: sqlite3.Connection, segment: int) -> str:
    """The table that a segment goes to, which follows all that are in the index."""
    name = parts(connection)[-1][1]
    found = connection.execute("SELECT value FROM meta WHERE name = 'part'").fetchone()
    own = found[0] if found else 0
    every: int = connection.execute("SELECT count(*) FROM segment").fetchone()[0]
    if own >= max(PART_SEGMENTS, every // PARTS):
        name, own = f"search_{segment}", 0
        connection.execute(_PART.format(name))
    connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('part', ?)", (own + 1,))
    return name


def _distinct(first: int, number: int, length: int, data: bytes) -> list[str] | None:
    """The texts of a block, each once; None where they are too many."""
    found: dict[str, None] = {}
    with contextlib.suppress(zstandard.ZstdError, ValueError):
        for each in Block(first, number, length, data).all():
            found.update(dict.fromkeys(texts(each.entry)))
    if sum(map(len, found)) > BLOCK_CHARACTERS or any("\0" in text for text in found):
        return None
    folded = dict.fromkeys(text.casefold() for text in found)
    return list(folded) if len(folded) < 1 << ORDINAL_BITS else None


def delete(connection: sqlite3.Connection, first: int) -> None:
    """Forget the first segment, inside the transaction that is open: with it goes a part of which nothing is left."""
    low = first << KIND_BITS
    connection.execute("DELETE FROM unsearched WHERE id >= ? AND id < ?", (low, low + (1 << KIND_BITS)))
    known = parts(connection)
    left = connection.execute("SELECT min(id) FROM segment WHERE id > ?", (first,)).fetchone()[0]
    if left is None or left > upto(connection):
        delete_all(connection)
        return
    for (_, name), (following, _) in pairwise(known):
        if following <= left:
            connection.execute("DROP TABLE " + name)


def delete_all(connection: sqlite3.Connection) -> None:
    """Empty the index, inside the transaction that is open."""
    for _, name in parts(connection):
        connection.execute("DROP TABLE " + name)
    connection.execute(SEARCH[0])
    connection.execute("DELETE FROM unsearched")
    connection.execute("DELETE FROM meta WHERE name = 'part'")
