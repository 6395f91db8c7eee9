"""The payments database."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry


def connect(path: Path) -> Engine:
    """Make the engine for the SQLite file at `path`; nothing is opened yet."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 15}, pool_size=8)
    event.listen(engine, "connect", _tune)
    return engine


def _tune(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # Several threads write: WAL lets the readers among them go on.
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()
