"""Each line of ours fails in turn inside the calls of real apps: nothing of it is seen outside, and the next request is whole.

A small app of each instrumentation runs without us, with us, and with us while one line raises: same answers, exceptions with
their frames, log lines, output and side effects, in the same class of time. Afterwards nothing of ours stays behind in the app's
context, and a clean run is captured as before. What is not made to fail stands in `seam.py` with its reason. The usual run takes
all lines of what is shared and a sample of each instrumentation's (the same ones each time); `make faults` takes them all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.injection import SOURCE, Faults, Questions, faults
from tests.faults.seam import SEAM

ROOMS = ("wsgi", "asgi", "drivers", "orms", "clients", "jobs", "rest", "sender", "process")


@pytest.mark.timeout(1300)
@pytest.mark.parametrize("room", ROOMS)
def test_a_line_of_ours_that_fails_changes_nothing(room: str, sweep: Callable[[str], list[dict[str, Any]]]) -> None:
    wrong = []
    for row in sweep(room):
        assert not row["broken"], f"{row['app']}: {row['broken']}"
        wrong += [f"{row['app']}: {what}: {one}" for what in ("altered", "doubled", "lost") for one in row[what]]
    assert not wrong, "\n".join(wrong[:20])


def test_each_instrumentation_has_its_app() -> None:
    said = "".join(path.read_text() for path in (Path(__file__).parent / "apps").glob("*.py"))
    names = [path.name for path in (SOURCE / "brakit/instrumentations").glob("[!_]*.py")]
    assert [name for name in names if f'"{name}"' not in said] == []


def test_the_seam_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each function that is left alone exists."""
    import ast

    fresh = Faults()
    monkeypatch.setattr("tests.faults.injection.faults", fresh)
    assert faults is not fresh
    for file in {file for file, _ in SEAM}:
        Questions(file).visit(ast.parse((SOURCE / "brakit" / file).read_text()))
    assert set(SEAM) - {(line.file, line.function) for line in fresh.lines} == set()
