"""Fixtures of the tests of the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.line.processes import Process, starter


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """`start(command, name=…, **environment)` runs a process until the end of the test."""
    yield from starter(tmp_path)
