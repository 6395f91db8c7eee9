"""`python -m brakit doctor` says in plain words whether an app is watched, what is seen, where the server is and what was lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from brakit.config import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path

    from sdk.tests.conftest import Py, Sink

RUN = "import runpy, sys; sys.argv = ['brakit', *{}]; runpy.run_module('brakit', run_name='__main__')"
DOCTOR = RUN.format(["doctor"])
AS_JSON = RUN.format(["doctor", "--json"])


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({}, "  Yes: nothing speaks against it."),
        ({"BRAKIT_DISABLE": "1"}, "  No: BRAKIT_DISABLE is set."),
        ({"CI": "1"}, "  No: CI is set, this looks like CI; BRAKIT_ENABLE=1 switches on."),
        ({"ENVIRONMENT": "staging"}, "  No: ENVIRONMENT=staging looks like production; BRAKIT_ENABLE=1 switches on."),
    ],
)
def test_the_decision_and_its_reason(py: Py, env: dict[str, str], line: str) -> None:
    ran = py(DOCTOR, **env)  # type: ignore[arg-type]
    assert ran.rc == 1
    assert line in ran.stdout.splitlines()


def test_without_a_word_it_says_the_same(py: Py) -> None:
    assert py(RUN.format([])).stdout == py(DOCTOR).stdout


@pytest.mark.parametrize("words", [["docter"], ["--jsn"], ["doctor", "doctor"]])
def test_a_word_that_is_not_known(py: Py, words: list[str]) -> None:
    ran = py(RUN.format(words))
    assert ran.rc == 2
    assert "usage:" in ran.stderr
    assert ran.stdout == ""


def test_every_setting_is_listed_with_what_is_wrong(py: Py) -> None:
    ran = py(DOCTOR, BRAKIT_BODIES="perhaps", BRAKIT_SKIP="redis,reddis", BRAKIT_TOKEN="let-me-in")
    assert all(setting.variable in ran.stdout for setting in SETTINGS)
    assert "  Wrong: BRAKIT_BODIES='perhaps'" in ran.stdout
    assert "  Wrong: BRAKIT_SKIP: there is no instrumentation 'reddis'" in ran.stdout
    assert "let-me-in" not in ran.stdout


def test_a_server_is_found_and_asked_to_prove_itself(py: Py, sink: Sink, tmp_path: Path) -> None:
    sink.announce(tmp_path / ".brakit")
    ran = py(DOCTOR)
    assert ran.rc == 0
    assert f"  http://127.0.0.1:{sink.port}/__brakit/ (version unknown)" in ran.stdout
    assert sink.posts == 0


def test_a_server_that_is_another_project_s_or_gone(py: Py, sink: Sink, tmp_path: Path) -> None:
    sink.announce(tmp_path / ".brakit")
    sink.nonce = "another"
    assert "is not this project's brakit server" in py(DOCTOR).stdout
    sink.close()
    ran = py(DOCTOR)
    assert f"http://127.0.0.1:{sink.port}: does not answer: " in ran.stdout
    assert ran.rc == 1
    sink.open()


def test_where_it_looked_in_vain(py: Py, tmp_path: Path) -> None:
    ran = py(DOCTOR)
    assert "There is none. Looked in:" in ran.stdout
    assert str(tmp_path / ".brakit") in ran.stdout
    assert "http://127.0.0.1:1: does not answer" in py(DOCTOR, BRAKIT_URL="http://127.0.0.1:1").stdout


def test_libraries_by_what_becomes_of_them(py: Py, tmp_path: Path) -> None:
    for name, version in (("loguru", "0.0.1"), ("acme_db", "1.0")):
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "top_level.txt").write_text(name)
        (info / "RECORD").write_text("")
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('nobody imports me')")
    (tmp_path / "acme_db-1.0.dist-info" / "entry_points.txt").write_text(
        "[brakit.instrumentations]\nacme_db = acme_db_brakit\nother = missing_module\n"
    )
    (tmp_path / "acme_db_brakit.py").write_text("SUPPORTS = '>=1.0'\nraise RuntimeError('nobody imports me')")
    found = json.loads(py(AS_JSON, BRAKIT_SKIP="redis").stdout)["libraries"]
    assert (found["loguru"]["state"], found["loguru"]["version"]) == ("refused", "0.0.1")
    assert (found["acme_db"]["state"], found["acme_db"]["from"]) == ("seen", "acme_db_brakit")
    assert found["other"]["state"] == "broken"
    assert found["redis"]["state"] == "skipped"
    assert found["httpx"]["state"] == "seen"
    assert found["logging"] == {"state": "seen", "version": "", "supports": "", "from": "brakit"}
    text = py(DOCTOR).stdout
    assert "  refused: loguru 0.0.1 (" in text
    assert "other (from missing_module)" in text
