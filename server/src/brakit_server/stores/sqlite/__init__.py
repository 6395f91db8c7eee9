"""Events in one SQLite file: one writer thread, a few reading ones."""

from brakit_server.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
