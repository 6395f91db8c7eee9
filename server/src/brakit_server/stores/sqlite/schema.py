"""The file: its tables, how it is opened, brought up to date, and set aside when it is broken."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import time
from pathlib import Path

from brakit_server.stores import StoreRefused, StoreUnavailable
from brakit_server.stores.sqlite import rollups

BUSY_MS = 10_000
"""How long a statement waits for a lock that somebody else holds on the file."""

CHECKED_BYTES = 128 * 1024 * 1024
"""Files up to this size are checked in full at each start; larger ones when the last run met a broken page."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        # Ids are 16 random bytes: a row refers to one by a small integer, so that an index over owners stays in order and small.
        "CREATE TABLE owner (id INTEGER PRIMARY KEY, text NOT NULL UNIQUE)",
        "CREATE TABLE word (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
        # What is filtered and added up stands apart from the records: a scan of it touches a tenth of the pages.
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
        # All that figures of requests are made of, so that they are read without their rows.
        "CREATE INDEX event_request ON event (seq, at, ms, status, endpoint, service) WHERE kind = 1",
        "CREATE INDEX event_endpoint ON event (endpoint) WHERE endpoint IS NOT NULL",
        "CREATE TABLE body (seq INTEGER PRIMARY KEY, json TEXT NOT NULL)",
        "CREATE TABLE batch (id TEXT PRIMARY KEY, received INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE run (id TEXT PRIMARY KEY, last REAL NOT NULL, json TEXT NOT NULL) WITHOUT ROWID",
        "CREATE TABLE issue (id TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID",
    ),
    (
        # With the method, filters of requests are answered from the index alone.
        "DROP INDEX event_request",
        "CREATE INDEX event_request ON event (seq, at, ms, status, endpoint, service, name) WHERE kind = 1",
    ),
    rollups.ROLLUPS,
)
"""Each brings the file one version forward."""

TABLES = ("meta", "owner", "word", "event", "body", "batch", "run", "issue", *rollups.TABLES)

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


def open_writer(path: Path, durability: str) -> sqlite3.Connection:
    """The connection that writes, on a file of the newest version with mode 0600. `durability`: `normal` or `full`.

    A broken file is renamed to `<name>.corrupt-<time>` and an empty one takes its place. Raises `StoreRefused` for a file that a
    newer version wrote, a link, or another user's; `StoreUnavailable` when it cannot be opened now.
    """
    _own(path)
    try:
        return _ready(path, durability)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if isinstance(error, sqlite3.DatabaseError) and _code(error) in _NOT_CORRUPT:
            raise StoreUnavailable(f"{path} cannot be opened: {error}") from error
        set_aside(path, str(error) if isinstance(error, sqlite3.DatabaseError) else "its tables have no readable names")
    _own(path)
    return _ready(path, durability)


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = _connect(path)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cache_size = -16384")
    return connection


def suspect(path: Path) -> Path:
    """The mark that makes the next start check the file in full."""
    return path.with_name(path.name + ".suspect")


def is_corruption(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


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


def _ready(path: Path, durability: str) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        if path.stat().st_size == 0:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        # One statement a setting: SQLite takes no parameters in a PRAGMA.
        connection.execute("PRAGMA synchronous = FULL" if durability == "full" else "PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 16777216").fetchall()
        connection.execute("PRAGMA cache_size = -16384")
        connection.execute("PRAGMA temp_store = MEMORY")
        _migrate(connection, path)
        _check(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = _version(connection)
    if version > len(MIGRATIONS):
        if connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone() != (version,):
            raise sqlite3.DatabaseError("its version makes no sense")
        raise StoreRefused(
            f"{path} was written by a newer brakit (version {version} of the file, this one knows {len(MIGRATIONS)}): "
            "upgrade brakit-server, or choose another data folder."
        )
    for number in range(version, len(MIGRATIONS)):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in MIGRATIONS[number]:
                connection.execute(statement)
            connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('version', ?)", (number + 1,))
            connection.execute("PRAGMA user_version = " + str(number + 1))
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


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
            raise sqlite3.DatabaseError(str(found).splitlines()[0])
        suspect(path).unlink(missing_ok=True)


_ROWIDS = {"owner", "word", "event", "body"}
