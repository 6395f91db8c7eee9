"""The table of one part: a row a figure, with the control and with what the figure must be."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "2"))
console = Console(width=150)


class Must(NamedTuple):
    """A bound."""

    sign: str
    value: float

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"

    def met(self, value: float) -> bool:
        return value <= self.value if self.sign == "≤" else value >= self.value


def most(value: float) -> Must:
    return Must("≤", value)


def least(value: float) -> Must:
    return Must("≥", value)


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


def middle(values: Sequence[float] | None) -> str:
    """Median with the range over the rounds."""
    if not values:
        return ""
    if len(values) == 1:
        return number(values[0])
    return f"{number(statistics.median(values))} [{number(min(values))}–{number(max(values))}]"


class Sheet:
    """Rows of medians over rounds. The control is the program without us against itself: a difference within it is none."""

    def __init__(self, title: str, *columns: str) -> None:
        self.table = Table(title=title, title_justify="left", title_style="bold")
        for index, column in enumerate(("figure", *(columns or ("without us", "again (control)", "brakit")), "must", "met")):
            self.table.add_column(column, justify="left" if index == 0 else "right")

    def row(self, label: str, *columns: Sequence[float] | None, must: Must | None = None) -> None:
        """`must` is for the last column."""
        last = columns[-1]
        met = "" if must is None or not last else "yes" if must.met(statistics.median(last)) else "no"
        self.table.add_row(label, *map(middle, columns), str(must or "–"), met)

    def show(self) -> None:
        console.print(self.table)


def rounds(seconds: float, most_rounds: int = ROUNDS) -> Iterator[int]:
    """Up to `most_rounds`, none begun that would not end within `seconds`, or longer where BENCH_ROUNDS or BENCH_SECONDS say so."""
    until = time.monotonic() + seconds * max(1.0, ROUNDS / 5) * max(1.0, SECONDS / 2)
    longest = 0.0
    for index in range(most_rounds):
        started = time.monotonic()
        if index and started + longest > until:
            console.print(f"ended after {index} of {most_rounds} rounds, for want of time")
            return
        yield index
        longest = max(longest, time.monotonic() - started)
