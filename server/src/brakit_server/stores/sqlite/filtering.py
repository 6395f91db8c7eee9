"""Filters: which segments may hold what fits."""

from __future__ import annotations

from brakit_server.filters import Node
from brakit_server.stores.sqlite.terms import Fragment
from brakit_server.stores.sqlite.view import EVERYWHERE, View


def fragment(view: View, number: int, node: Node) -> Fragment:  # noqa: ARG001
    """Segments where a record of the kind may fit."""
    return EVERYWHERE
