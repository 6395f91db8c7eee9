"""The runs of other people's suites see what fails only with us: a harness that sees nothing would say that nothing fails."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.suites import sources
from tests.suites.catalogue import SUITES, TESTLESS, Suite
from tests.suites.recording import Recorder
from tests.suites.running import Runner, missing, newly

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = """
import logging, subprocess, sys, unittest

class Library(unittest.TestCase):
    def test_good(self):
        logging.getLogger("library").error("said")

    def test_bad(self):
        raise LookupError("both ways")

    @unittest.skip("not here")
    def test_left_out(self):
        pass

    def test_without(self):
        self.assertNotIn("brakit", sys.modules)

    def test_child_without(self):
        subprocess.run([sys.executable, "-c", "import sys; sys.exit('brakit' in sys.modules)"], check=True)

if __name__ == "__main__":
    unittest.main()
"""


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.close()


@pytest.mark.parametrize("script", [False, True], ids=["pytest", "unittest"])
def test_what_fails_only_with_us_is_found(tmp_path: Path, recorder: Recorder, script: bool) -> None:
    source = tmp_path / "library"
    source.mkdir()
    (source / "test_library.py").write_text(TESTS)
    runner = Runner(Suite(tests=("test_library.py",), script=script), source, Path(sys.executable))
    without, with_us = runner.run(0, 60), runner.run(recorder.port, 60)
    assert (without.count("passed"), without.count("failed"), without.count("skipped")) == (3, 1, 1), without.output
    assert [id.replace("::", ".").rpartition(".")[2] for id in sorted(newly(without, with_us))] == [
        "test_child_without",
        "test_without",
    ]
    assert missing(without, with_us) == []
    assert with_us.code == 1
    assert recorder.kinds["log"] > 0
    # By itself, one of them is one test.
    [id] = [id for id in without.outcomes if id.endswith("test_without")]
    label = id.replace("__main__.", "") if script else id
    assert (runner.run(0, 60, (label,)).count("passed"), runner.run(recorder.port, 60, (label,)).count("failed")) == (1, 1)


def test_a_run_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    source = tmp_path / "library"
    source.mkdir()
    code = "import os, subprocess, sys, time\n\ndef test_it():\n"
    code += "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
    code += "    open('child', 'w').write(str(child.pid)); time.sleep(600)\n"
    (source / "test_library.py").write_text(code)
    ran = Runner(Suite(tests=("test_library.py",)), source, Path(sys.executable)).run(0, 12)
    assert (ran.code, ran.outcomes) == (None, {})
    left = Path("/proc") / (source / "child").read_text() / "stat"
    assert not left.exists() or left.read_text().split()[2] == "Z"


def test_what_the_tests_need_is_read_from_their_groups_and_files(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[dependency-groups]\ntests = ["a>=1", "mypy", {include-group = "more"}]\nmore = ["types-b", "c[d]~=2.0"]\n'
    )
    assert sources.requirements(tmp_path) == ["a>=1", "c[d]~=2.0"]
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements/test.txt").write_text("-r base.txt\n# said\ne==1 # why\n--hash=x\ngit+https://example.com/f\n")
    (tmp_path / "requirements/base.txt").write_text("g\n")
    assert sources.requirements(tmp_path) == ["g", "e==1"]


def test_the_catalogue_names_libraries_that_are_installed() -> None:
    for name in (*SUITES, *TESTLESS):
        assert sources.release(name)
