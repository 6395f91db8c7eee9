"""Lists of one kind: what must hold, how many there are, and one page of them."""

from __future__ import annotations

import sqlite3

import msgspec

from brakit_server.stores import Where
from brakit_server.stores.sqlite.rows import ERROR, FETCH, JOB, JOB_STATUS, LOG, QUERY, REQUEST, owner_id

NO_SUCH = -1
"""Stands for a text that the file does not know: no row has it."""

SKEW_SECONDS = 300
"""How far a sender's clock may be ahead before `since` misses events."""

_TEXTS = {
    REQUEST: ("$.url", "$.requestBody", "$.responseBody"),
    QUERY: ("$.sql",),
    FETCH: ("$.url",),
    LOG: ("$.message", "$.logger"),
    ERROR: ("$.name", "$.message"),
    JOB: ("$.name", "$.queue", "$.messageId", "$.error"),
}

_HAS_STATUS = (REQUEST, FETCH)


class Conditions:
    """The WHERE of a list, with its parameters. Every fragment is a constant of this file."""

    def __init__(self, kind: int) -> None:
        # As a constant: SQLite uses an index over one kind only where it sees that kind.
        self.fragments = ["event.kind = " + str(int(kind))]
        self.parameters: list[object] = []
        self.event = "event"
        """The table, with the index to use where SQLite would choose a worse one."""
        self.search = False
        """Whether the records have to be read."""
        self.all = True
        """Whether nothing but the kind is asked for."""

    @property
    def tables(self) -> str:
        return self.event + (" JOIN body USING (seq)" if self.search else "")

    def add(self, fragment: str, *parameters: object) -> None:
        self.fragments.append(fragment)
        self.parameters += parameters
        self.all = False

    def sql(self) -> str:
        return " AND ".join(self.fragments)


def conditions(connection: sqlite3.Connection, kind: int, where: Where) -> Conditions:
    """What must hold for an event to be in the list; the page's own bounds are not among it."""
    found = Conditions(kind)
    if where.request_id is not None or where.endpoint is not None:
        # The plus keeps SQLite from walking the whole kind instead of the few events of the owner or endpoint.
        found.fragments[0] = "+" + found.fragments[0]
    elif kind == REQUEST:
        found.event = "event INDEXED BY event_request"
    if where.request_id is not None:
        owner = owner_id(connection, where.request_id)
        wanted = NO_SUCH if owner is None else owner
        if kind == JOB:
            found.add("(event.owner = ? OR event.parent = ?)", wanted, wanted)
        else:
            found.add("event.owner = ?", wanted)
    if where.endpoint is not None:
        endpoint = word(connection, where.endpoint)
        if kind in (REQUEST, JOB):
            found.add("event.endpoint = ?", endpoint)
        else:
            found.add("event.owner IN (SELECT owner FROM event WHERE endpoint = ?)", endpoint)
    if where.service is not None:
        found.add("event.service = ?", word(connection, where.service))
    if where.method is not None and kind in (REQUEST, FETCH):
        found.add("event.name = ?", word(connection, where.method))
    if where.level is not None and kind == LOG:
        found.add("event.name = ?", word(connection, where.level))
    if where.shape_hash is not None:
        found.add("event.shape = ?", word(connection, where.shape_hash))
    if where.status is not None and kind in _HAS_STATUS:
        low, high = status_range(where.status)
        found.add("event.status BETWEEN ? AND ?", low, high)
    elif where.status is not None and kind == JOB:
        found.add("event.status = ?", JOB_STATUS.get(where.status, NO_SUCH))
    if where.since is not None:
        found.add("event.seq >= ? AND event.at >= ?", seq_at(connection, where.since), where.since)
    if where.search:
        _search(connection, found, kind, where.search)
    return found


def status_range(status: str) -> tuple[int, int]:
    """`404` → (404, 404), `4xx` → (400, 499); a range that nothing is in for anything else."""
    if status.isascii() and len(status) <= 3:
        if status.isdigit():
            return int(status), int(status)
        if status[:1].isdigit() and status[1:].lower() == "xx":
            return int(status[0]) * 100, int(status[0]) * 100 + 99
    return 1, 0


def _search(connection: sqlite3.Connection, found: Conditions, kind: int, text: str) -> None:
    paths = _TEXTS[kind]
    found.search = True
    if text.isascii():
        # The whole record first: reading it as JSON costs far more, and few records get that far.
        raw = msgspec.json.encode(text).decode()[1:-1]
        found.add("body.json LIKE ? ESCAPE '!'", _pattern(raw))
        alternatives = ["json_extract(body.json, ?) LIKE ? ESCAPE '!'"] * len(paths)
        values: list[object] = [part for path in paths for part in (path, _pattern(text))]
        if kind == REQUEST and (owner := owner_id(connection, text)) is not None:
            # Clients of the reference look a request up by searching for its id.
            alternatives.append("event.owner = ?")
            values.append(owner)
        found.add("(" + " OR ".join(alternatives) + ")", *values)
    else:
        fields = " OR ".join(["folded_in(json_extract(body.json, ?), ?)"] * len(paths))
        found.add("(" + fields + ")", *(part for path in paths for part in (path, text)))


def _pattern(text: str) -> str:
    for special in "!%_":
        text = text.replace(special, "!" + special)
    return f"%{text}%"


def folded_in(value: object, text: str) -> bool:
    """Case-insensitive containment beyond ASCII, as a function in SQL."""
    return isinstance(value, str) and text.casefold() in value.casefold()


def page(connection: sqlite3.Connection, found: Conditions, where: Where, stored: int) -> tuple[int, list[tuple[int, bytes]]]:
    """How many match, and `seq` and record of one page of them, newest first. `stored`: how many there are of the kind."""
    limit, offset = max(0, where.limit), max(0, where.offset)
    before = where.before or ""
    end = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    order = " ORDER BY event.seq DESC"
    if found.search:
        # Every record has to be read to count them: the page is cut from what was found meanwhile.
        rows = connection.execute("SELECT event.seq FROM " + found.tables + " WHERE " + found.sql() + order, found.parameters)
        numbers = [number for (number,) in rows]
        wanted = [number for number in numbers if end is None or number < end][offset : offset + limit]
        one = "SELECT seq, CAST(json AS BLOB) FROM body WHERE seq = ?"
        return len(numbers), [row for number in wanted for row in connection.execute(one, (number,))]
    sql, parameters = found.sql(), found.parameters
    total = stored
    if not found.all:
        total = int(connection.execute("SELECT count(*) FROM " + found.tables + " WHERE " + sql, parameters).fetchone()[0])
    if end is not None:
        sql, parameters = sql + " AND event.seq < ?", [*parameters, end]
    read = "SELECT event.seq, CAST(body.json AS BLOB) FROM " + found.event + " JOIN body USING (seq) WHERE "
    return total, connection.execute(read + sql + order + " LIMIT ? OFFSET ?", [*parameters, limit, offset]).fetchall()


def word(connection: sqlite3.Connection, text: str) -> int:
    """The number of a word in the file."""
    found = connection.execute("SELECT id FROM word WHERE text = ?", (text,)).fetchone()
    return int(found[0]) if found else NO_SUCH


def seq_at(connection: sqlite3.Connection, since: float) -> int:
    """A `seq` below which nothing that started at `since` (epoch milliseconds) or later was received, give or take the clocks."""
    wanted = since / 1000 - SKEW_SECONDS
    low, high = bounds(connection)
    while low < high:
        middle = (low + high) // 2
        # Arrival grows with seq, so halving finds the place without an index over it.
        if connection.execute("SELECT received FROM event WHERE seq >= ? ORDER BY seq LIMIT 1", (middle,)).fetchone()[0] < wanted:
            low = middle + 1
        else:
            high = middle
    return int(low)


def bounds(connection: sqlite3.Connection) -> tuple[int, int]:
    """The lowest and the highest `seq` in the file; both 0 where it is empty."""
    # One at a time each is a look at one end of the table; together they would be a walk through all of it.
    low, high = connection.execute("SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)").fetchone()
    return low or 0, high or 0
