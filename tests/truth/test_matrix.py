"""The ground-truth matrix: each framework in each style, under a crowd; all that really happened is captured, once, where it belongs.

A small real app of each framework runs on a real server. What it did is known from others: the statement logs of two databases, the
access log of the stub that it calls, its own book of log records and exceptions, and the crowd that asked. `BRAKIT_LONG=1` asks more.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.truth.ledger import Row
from tests.truth.matrix import FRAMEWORKS

CELLS = [(framework, style) for framework, styles in FRAMEWORKS.items() for style in styles]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("framework", "style"), CELLS, ids=lambda part: part)
def test_all_is_captured_once_where_it_belongs(framework: str, style: str, rows: Callable[[str], list[Row]]) -> None:
    """The first test of a framework runs its app, for all of its styles at once."""
    [row] = [row for row in rows(framework) if row.style == style]
    # The truth itself is whole: the request, its statements, its calls and its records, each time.
    assert row.truth >= 4 * row.requests
    assert not row.wrong(), "\n".join(row.examples)
