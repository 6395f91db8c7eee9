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
FAULTS = {"thread": "a thread that the app starts by hand has no owner"}
"""What the SDK does not do yet, by the style that shows it."""


def known(style: str) -> tuple[pytest.MarkDecorator, ...]:
    reasons = [reason for name, reason in FAULTS.items() if name in style]
    return tuple(pytest.mark.xfail(strict=True, reason=reason) for reason in reasons)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("framework", "style"),
    [pytest.param(framework, style, marks=known(style), id=f"{framework}-{style}") for framework, style in CELLS],
)
def test_all_is_captured_once_where_it_belongs(framework: str, style: str, rows: Callable[[str], list[Row]]) -> None:
    """The first test of a framework runs its app, for all of its styles at once."""
    [row] = [row for row in rows(framework) if row.style == style]
    # The truth itself is whole: the request, its statements, its calls and its records, each time.
    assert row.truth > 5 * row.requests
    assert not row.wrong(), "\n".join(row.examples)
