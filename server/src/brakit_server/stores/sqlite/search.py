"""Search: which segments may hold a text."""

from __future__ import annotations

import sqlite3

from brakit_server.stores.sqlite.terms import Fragment
from brakit_server.stores.sqlite.view import EVERYWHERE, View


def fragment(view: View, number: int, text: str) -> Fragment:  # noqa: ARG001
    """Segments where a record of the kind may have the text in it."""
    return EVERYWHERE


def step(connection: sqlite3.Connection) -> bool:  # noqa: ARG001
    """Nothing yet."""
    return False


def delete(connection: sqlite3.Connection, first: int) -> None:
    """A segment goes."""


def delete_all(connection: sqlite3.Connection) -> None:
    """All goes."""
