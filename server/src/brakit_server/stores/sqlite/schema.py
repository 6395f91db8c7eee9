"""The file: its tables, how it is opened, brought up to date, and set aside when it is broken."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import time
from collections.abc import Callable
from pathlib import Path

from brakit_server.stores import StoreRefused, StoreUnavailable
from brakit_server.stores.sqlite import rollups, search

BUSY_MS = 10_000
"""How long a statement waits for a lock that somebody else holds on the file."""

CHECKED_BYTES = 128 * 1024 * 1024
"""Files up to this size are checked in full at each start; larger ones when the last run met a broken page."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE owner (id INTEGER PRIMARY KEY, text NOT NULL UNIQUE)",
        "CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
        """CREATE TABLE event (
            seq INTEGER PRIMARY KEY,
            kind INTEGER NOT NULL,
            received INTEGER NOT NULL,
            at REAL NOT NULL,
            ms REAL,
            owner INTEGER,
            parent INTEGER,
            service INTEGER,
            endpoint INTEGER,
            name INTEGER,
            shape INTEGER,
            status INTEGER,
            rows INTEGER
        )""",
        "CREATE INDEX event_kind ON event (kind)",
        "CREATE INDEX event_owner ON event (owner) WHERE owner IS NOT NULL",
        "CREATE INDEX event_parent ON event (parent) WHERE parent IS NOT NULL",
        "CREATE INDEX event_request ON event (seq, at, ms, status, endpoint, service) WHERE kind = 1",
        "CREATE INDEX event_endpoint ON event (endpoint) WHERE endpoint IS NOT NULL",
        "CREATE TABLE body (seq INTEGER PRIMARY KEY, json TEXT NOT NULL)",
        "CREATE TABLE batch (id TEXT PRIMARY KEY, received INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE run (id TEXT PRIMARY KEY, last REAL NOT NULL, json TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE issue (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID",
    ),
    (
        "DROP INDEX event_request",
        "CREATE INDEX event_request ON event (seq, at, ms, status, endpoint, service, name) WHERE kind = 1",
    ),
    rollups.ROLLUPS,
    (
        # Segments instead of a row an event (docs/adr/0011): what stands in the tables above moves in `moving.py`.
        "ALTER TABLE word RENAME TO old_word",
        "ALTER TABLE batch RENAME TO old_batch",
        "ALTER TABLE run ADD COLUMN seq INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE tail (seq INTEGER PRIMARY KEY, data BLOB NOT NULL)",
        """CREATE TABLE segment (
            id INTEGER PRIMARY KEY,
            last INTEGER NOT NULL,
            received_first INTEGER NOT NULL,
            received_last INTEGER NOT NULL,
            at_min REAL NOT NULL,
            at_max REAL NOT NULL,
            has INTEGER NOT NULL,
            counts BLOB NOT NULL
        )""",
        "CREATE TABLE block (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, data BLOB NOT NULL)",
        "CREATE TABLE word (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, field TEXT NOT NULL, text TEXT NOT NULL)",
        "CREATE UNIQUE INDEX word_text ON word (kind, field, text)",
        """CREATE TABLE posting (
            term INTEGER NOT NULL,
            segment INTEGER NOT NULL,
            n INTEGER NOT NULL,
            ms REAL NOT NULL,
            PRIMARY KEY (term, segment)
        ) WITHOUT ROWID""",
        """CREATE TABLE owned (
            owner INTEGER NOT NULL,
            segment INTEGER NOT NULL,
            role INTEGER NOT NULL,
            slot INTEGER NOT NULL,
            endpoint INTEGER,
            PRIMARY KEY (owner, segment)
        ) WITHOUT ROWID""",
        "CREATE TABLE batch (id INTEGER PRIMARY KEY, received INTEGER NOT NULL)",
        """CREATE TABLE total (
            kind INTEGER NOT NULL,
            name TEXT NOT NULL,
            service TEXT NOT NULL,
            seq INTEGER NOT NULL,
            ms REAL NOT NULL,
            data BLOB NOT NULL,
            PRIMARY KEY (kind, name, service)
        ) WITHOUT ROWID""",
        "INSERT INTO meta (name, value) VALUES ('salt', random())",
        *search.SEARCH,
    ),
)
"""Each brings the file one version forward."""

SEGMENTS = 4
"""The version from which on there are segments."""

Move = Callable[[sqlite3.Connection], None]
"""Brings what stands in the tables of version 3 into those of version 4."""

READABLE = 4
"""The lowest version whose readers understand the file: what a newer brakit writes there says whether this one can show it."""

TABLES = (
    *("meta", "tail", "segment", "block", "word", "posting", "owned", "batch", "total", "run", "issue"),
    *rollups.TABLES,
    *search.TABLES,
)

_NOT_CORRUPT = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_AUTH,
}


class Newer(Exception):
    """A newer version wrote the file: it can be read, and is left as it is. The text says so."""


def open_writer(path: Path, durability: str, move: Move) -> sqlite3.Connection:
    """The connection that writes, on a file of the newest version with mode 0600. `durability`: `normal` or `full`.

    A broken file is renamed to `<name>.corrupt-<time>` and an empty one takes its place. Raises `Newer` for a file of a newer
    version that this one can read; `StoreRefused` for one that it cannot, a link, or another user's; `StoreUnavailable` when it
    cannot be opened now.
    """
    _own(path)
    try:
        return _ready(path, durability, move)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if isinstance(error, sqlite3.DatabaseError) and is_passing(error):
            raise StoreUnavailable(f"{path} cannot be opened: {error}") from error
        set_aside(path, str(error) if isinstance(error, sqlite3.DatabaseError) else "its tables have no readable names")
    _own(path)
    return _ready(path, durability, move)


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cache_size = -4096")
    return connection


def suspect(path: Path) -> Path:
    """The mark that makes the next start check the file in full."""
    return path.with_name(path.name + ".suspect")


def is_corruption(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_passing(error: sqlite3.Error) -> bool:
    """Whether the file may be whole and cannot be used now."""
    return _code(error) in _NOT_CORRUPT


def set_aside(path: Path, reason: str) -> None:
    """Rename the file and its companions; say so on stderr."""
    suffix = time.strftime(".corrupt-%Y%m%d-%H%M%S")
    taken = 0
    while os.path.lexists(f"{path}{suffix}{f'-{taken}' if taken else ''}"):
        taken += 1
    suffix += f"-{taken}" if taken else ""
    for tail in ("", "-wal", "-shm"):
        part = Path(f"{path}{tail}")
        if os.path.lexists(part):
            part.rename(f"{path}{suffix}{tail}")
    suspect(path).unlink(missing_ok=True)
    print(f"brakit: {path} is damaged ({reason}); it is kept as {path.name}{suffix} and a new one is begun.", file=sys.stderr)  # noqa: T201


def _code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _own(path: Path) -> None:
    """Make sure of a regular file of our own with mode 0600 before SQLite opens it: it takes the companions' mode from it."""
    for tail in ("", "-wal", "-shm"):
        try:
            found = os.lstat(f"{path}{tail}")
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(found.st_mode):
            raise StoreRefused(f"{path}{tail} is not a regular file; remove it or choose another data folder.")
        if found.st_uid != os.geteuid():
            raise StoreRefused(f"{path}{tail} belongs to another user; choose another data folder.")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"{path} cannot be opened: {error.strerror}") from error
    try:
        os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA mmap_size = 0").fetchall()
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def _ready(path: Path, durability: str, move: Move) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        if path.stat().st_size == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        _refuse_newer(connection, path)
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        # One statement a setting: SQLite takes no parameters in a PRAGMA.
        connection.execute("PRAGMA synchronous = FULL" if durability == "full" else "PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 16777216").fetchall()
        connection.execute("PRAGMA wal_autocheckpoint = 4000").fetchall()
        # What is deleted is soon written over; clearing sees to the rest.
        connection.execute("PRAGMA secure_delete = OFF").fetchall()
        connection.execute("PRAGMA cache_size = -16384")
        connection.execute("PRAGMA temp_store = MEMORY")
        _migrate(connection, move)
        _check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_newer(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version <= len(MIGRATIONS):
        return
    known = dict(connection.execute("SELECT name, value FROM meta WHERE name IN ('version', 'readable')"))
    if known.get("version") != version:
        raise sqlite3.DatabaseError("its version makes no sense")
    told = f"{path} was written by a newer brakit (version {version} of the file, this one knows {len(MIGRATIONS)})"
    if known.get("readable", version) <= len(MIGRATIONS):
        raise Newer(f"{told}: it is shown as it is, and nothing is stored until brakit-server is upgraded.")
    raise StoreRefused(f"{told}: upgrade brakit-server, or choose another data folder.")


def _migrate(connection: sqlite3.Connection, move: Move) -> None:
    version = _version(connection)
    for number in range(version, len(MIGRATIONS)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in MIGRATIONS[number]:
                connection.execute(statement)
            if number + 1 == SEGMENTS:
                move(connection)
            for name, value in (("version", number + 1), ("readable", min(number + 1, READABLE))):
                connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))
            connection.execute("PRAGMA user_version = " + str(number + 1))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    if version and version < SEGMENTS <= len(MIGRATIONS):
        connection.executescript("PRAGMA incremental_vacuum")


def _version(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() != (len(MIGRATIONS),):
        raise sqlite3.DatabaseError("its version makes no sense")
    for table in TABLES:
        connection.execute(
            "SELECT * FROM " + table + " ORDER BY rowid DESC LIMIT 1" if table in _ROWIDS else "SELECT 1 FROM " + table
        )
    if path.stat().st_size <= CHECKED_BYTES or suspect(path).exists():
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            told = [line for line in str(found).splitlines() if not line.startswith("***")]
            raise sqlite3.DatabaseError(told[0] if told else "its pages do not fit together")
        suspect(path).unlink(missing_ok=True)


_ROWIDS = {"tail", "segment", "block", "word", "batch", "unsearched"}
