"""Servers of the tests, and their figures at the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.durability.serving import Server

LINES = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LINES] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash.get(LINES, [])
    if lines:
        terminalreporter.section("what the store survived")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """`say(line)`: print it at the end of the run."""
    return request.config.stash[LINES].append


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """`start(data, "--max-bytes", "9", variables={})`: a server on a data folder; all are killed afterwards."""
    running: list[Server] = []

    def begin(data: Path | None = None, *options: str, **more: Any) -> Server:
        running.append(Server(data or tmp_path / "data", *options, **more))
        return running[-1]

    yield begin
    for one in running:
        one.end()
