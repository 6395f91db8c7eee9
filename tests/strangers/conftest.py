"""Fixtures of the tests of what strangers may do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.line.processes import Process, Server, starter


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with an empty store, which has had nothing to say when it ends."""
    running = Server(tmp_path)
    yield running
    code = running.process.stop()
    assert code == 0, running.process.text()
    assert running.process.text().count("\n") == 1, running.process.text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """`start(command, name=…, **environment)` runs a process until the end of the test."""
    yield from starter(tmp_path)
