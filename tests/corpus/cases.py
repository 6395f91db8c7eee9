"""`Case` and `Family`: an app or a view that really runs, and what the rules must say about it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol

from brakit_server.local import Recorder

Tables = str | tuple[str, ...]
"""The table, or the words that a finding must name; "" where a rule tells none. One finding each."""

_HERE = re.compile(r"# here: ([\w-]+)")


class Case(NamedTuple):
    """One labelled app. What it does not expect must not be found: each other finding is a false one."""

    name: str
    """Family and function, as in `sqlalchemy.lazy_collection`."""
    family: str
    function: Callable[..., Any]
    host: Host
    expect: dict[str, tuple[str, ...]]
    """Of each rule that must fire the tables, one finding each."""
    lines: dict[str, frozenset[int]]
    """Of a rule the lines that its findings may name: those that end in `# here: <rule>`."""
    trap: str
    """What could mislead a rule here; empty where nothing is meant to."""
    known: str
    """Why the rules are wrong here, where we know that they are; counted as wrong all the same."""
    requests: int
    """How often it is run."""
    settings: dict[str, str]
    """Of the SDK, by the names of their environment variables."""


Exercise = Callable[[Recorder], None]
"""Runs a case once, as one request or job."""


class Host(Protocol):
    """What runs cases: a job, a web framework's app."""

    def open(self, case: Case) -> AbstractContextManager[Exercise]:
        """The app of a case with its database, ready to be run. Nothing that happens here is looked at."""
        ...


class Family:
    """Cases of one kind. As a decorator it registers a function as a case."""

    def __init__(self, name: str, host: Host) -> None:
        self.name = name
        self.host = host
        self.cases: list[Case] = []

    def __call__(
        self,
        *,
        expect: Mapping[str, Tables] | None = None,
        trap: str = "",
        known: str = "",
        requests: int = 1,
        settings: Mapping[str, str] | None = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a function, which gets what the host opens for it."""
        if not expect and not trap:
            raise ValueError("a case at which nothing must fire says which trap it is")
        labels = {rule: (tables,) if isinstance(tables, str) else tables for rule, tables in (expect or {}).items()}

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            name = f"{self.name}.{function.__name__}"
            lines = {rule: frozenset(numbers) for rule, numbers in _marked(function).items()}
            if unknown := set(lines) - set(labels):
                raise ValueError(f"{name} marks a line for {', '.join(sorted(unknown))}, which it does not expect")
            case = Case(name, self.name, function, self.host, labels, lines, trap, known, requests, dict(settings or {}))
            self.cases.append(case)
            return function

        return register


def _marked(function: Callable[..., Any]) -> dict[str, set[int]]:
    lines, first = inspect.getsourcelines(function)
    found: dict[str, set[int]] = {}
    for number, line in enumerate(lines, first):
        for rule in _HERE.findall(line):
            found.setdefault(rule, set()).add(number)
    return found


def expected_pairs(case: Case) -> Iterator[tuple[str, str]]:
    """Rule and table of each finding that must be there."""
    for rule, tables in case.expect.items():
        for table in tables:
            yield rule, table
