"""Fixtures of the matrix, and its table at the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.truth import databases
from tests.truth.ledger import Row, table
from tests.truth.matrix import Witnesses, run
from tests.truth.witness import Witness

ROWS = pytest.StashKey[dict[str, list[Row]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    ran = [row for rows in config.stash.get(ROWS, {}).values() for row in rows]
    if ran:
        terminalreporter.section("what happened, and what was captured of it")
        for line in table(ran):
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def witnesses() -> Iterator[Witnesses]:
    """Databases of our own, which log every statement, and the stub that the apps call."""
    postgres = databases.postgres()
    try:
        mariadb = databases.mariadb()
        try:
            stub = Witness()
            yield Witnesses(postgres, mariadb, stub)
            stub.close()
        finally:
            mariadb.stop()
    finally:
        postgres.stop()


@pytest.fixture(scope="session")
def rows(
    witnesses: Witnesses, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], list[Row]]:
    """`rows(framework)`: its rows of the matrix, from one run of its app."""
    ran = request.config.stash[ROWS]
    failed: dict[str, BaseException] = {}

    def rows(framework: str) -> list[Row]:
        if framework in failed:
            raise failed[framework]
        if framework not in ran:
            try:
                ran[framework] = run(framework, witnesses, tmp_path_factory.mktemp(framework))
            except BaseException as error:
                failed[framework] = error
                raise
        return ran[framework]

    return rows
