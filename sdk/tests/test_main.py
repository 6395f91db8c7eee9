"""`python -m brakit` says whether it would run here and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from brakit.config import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from sdk.tests.conftest import Py, Sink

RUN = "import runpy; runpy.run_module('brakit', run_name='__main__')"


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({}, "on: nothing speaks against it"),
        ({"BRAKIT_DISABLE": "1"}, "off: BRAKIT_DISABLE is set"),
        ({"CI": "1"}, "off: CI is set, this looks like CI; BRAKIT_ENABLE=1 switches on"),
        ({"ENVIRONMENT": "staging"}, "off: ENVIRONMENT=staging looks like production; BRAKIT_ENABLE=1 switches on"),
    ],
)
def test_the_decision_and_its_reason(py: Py, env: dict[str, str], line: str) -> None:
    ran = py(RUN, **env)  # type: ignore[arg-type]
    assert ran.rc == 0
    assert line in ran.stdout.splitlines()


def test_every_setting_is_listed_with_what_is_wrong(py: Py) -> None:
    ran = py(RUN, BRAKIT_BODIES="perhaps")
    assert all(setting.variable in ran.stdout for setting in SETTINGS)
    assert "BRAKIT_BODIES='perhaps'" in ran.stdout


def test_where_it_finds_a_server(py: Py, sink: Sink, tmp_path: Path) -> None:
    sink.announce(tmp_path / ".brakit")
    ran = py(RUN)
    assert f"Finds: 127.0.0.1:{sink.port}" in ran.stdout
    assert str(tmp_path / ".brakit") in ran.stdout
