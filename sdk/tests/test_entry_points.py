"""Instrumentations that other distributions bring."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brakit.entry_points import find, parse

if TYPE_CHECKING:
    from sdk.tests.conftest import Py, Sink


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[brakit.instrumentations]\nacme = acme_brakit\n", {"acme": "acme_brakit"}),
        (
            "[console_scripts]\na = b:c\n\n[brakit.instrumentations]\nacme.db=acme.brakit.db\n[x]\nc=d",
            {"acme.db": "acme.brakit.db"},
        ),
        ("[ brakit.instrumentations ]\r\n a = b \r\n# c = d\n", {"a": "b"}),
        ("[brakit.instrumentations]\na\nb =\n= c\nd = e:f\ng = h [extra]\n../x = y\n", {}),
        ("[other]\n# brakit.instrumentations\na = b", {}),
        ("", {}),
    ],
)
def test_entries_of_our_group(text: str, found: dict[str, str]) -> None:
    assert parse(text) == found


@given(st.text(max_size=200).map(lambda text: "[brakit.instrumentations]\n" + text))
def test_no_text_is_too_odd(text: str) -> None:
    assert all(target and module for target, module in parse(text).items())


def test_of_two_for_one_target_that_which_is_imported_first_counts(tmp_path: Path) -> None:
    for folder, name, module in (("a", "x-1.dist-info", "first"), ("b", "y-1.egg-info", "second"), ("b", "z", "none")):
        (tmp_path / folder / name).mkdir(parents=True)
        (tmp_path / folder / name / "entry_points.txt").write_text(f"[brakit.instrumentations]\nacme = {module}\n")
    (tmp_path / "b" / "broken-1.dist-info" / "entry_points.txt").mkdir(parents=True)
    assert find([str(tmp_path / "missing"), str(tmp_path / "a"), str(tmp_path / "b")]) == {"acme": "first"}


APP = """
import sys
sys.path.insert(0, "site-packages")
import brakit, acme
assert acme.Store().get("k") == "K"
assert brakit.flush(5)
"""
PAGE = Path(__file__).resolve().parents[2] / "docs/instrumentations.md"


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """The library of the documentation's page, with its instrumentation, installed beside the app."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    for block in re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL):
        (folder / block[0]).write_text(block[1])
    entry = re.search(r'"(brakit.+)"\]\n(\w+) = "(\w+)"', (folder / "pyproject.toml").read_text())
    assert entry is not None
    info = folder / "acme-1.5.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2]} = {entry[3]}\n")
    return folder


@pytest.mark.parametrize(("env", "names"), [({}, ["get"]), ({"BRAKIT_ACME_KEYS": "1"}, ["get k"]), ({"BRAKIT_SKIP": "acme"}, [])])
def test_the_example_of_the_documentation_works(py: Py, sink: Sink, library: Path, env: dict[str, str], names: list[str]) -> None:
    ran = py(APP, BRAKIT_PORT=str(sink.port), **env)  # type: ignore[arg-type]
    assert ran.rc == 0, ran.stderr
    spans = sink.of("span")
    assert [span["data"]["name"] for span in spans] == names
    assert all((span["data"]["callsite"]["file"], span["data"]["callsite"]["line"]) == ("app0.py", 5) for span in spans)


@pytest.mark.parametrize("bounds", [">=2.0", "<1.5"])
def test_one_for_another_version_patches_nothing_and_says_so(py: Py, sink: Sink, library: Path, bounds: str) -> None:
    path = library / "acme_for_brakit.py"
    path.write_text(path.read_text().replace(">=1.0,<2.0", bounds))
    ran = py(APP + "import logging; logging.warning('here')", BRAKIT_PORT=str(sink.port))
    assert ran.rc == 0, ran.stderr
    assert sink.wait(lambda: len(sink.events) == 1)
    assert sink.payloads[0]["resource"]["instrumentations"]["acme"] == f"1.5: not supported, {bounds} is"


@pytest.mark.parametrize(
    "text", ["raise ValueError", "import nowhere", "SUPPORTS = '>=1.0'", "SUPPORTS = '>=9'", "def instrument(patch): 1/0"]
)
def test_one_that_is_broken_costs_itself_alone(py: Py, sink: Sink, library: Path, text: str) -> None:
    (library / "acme_for_brakit.py").write_text(text)
    ran = py(APP + "import logging; logging.warning('still here')", BRAKIT_PORT=str(sink.port))
    assert ran.rc == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert sink.wait(lambda: sink.messages() == ["still here"])
    [payload] = sink.payloads
    told = {**payload["resource"].get("failures", {}), **payload["resource"]["instrumentations"]}
    assert any("acme" in name for name in told)
