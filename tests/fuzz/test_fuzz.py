"""A little of `make fuzz`."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SECONDS = 600 if os.environ.get("BRAKIT_LONG") == "1" else 2
pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed (`make fuzz` tries to)"),
    pytest.mark.timeout(SECONDS + 110),
]


@pytest.mark.parametrize("target", ["decoder", "filters"])
def test_nothing_but_what_may_be_refused(target: str, tmp_path: Path) -> None:
    options = [f"-max_total_time={SECONDS}", "-timeout=10", "-seed=1", f"-artifact_prefix={tmp_path}/"]
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, *options],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr[-4000:]
    done = re.search(r"Done (\d+) runs", ran.stderr)
    assert done is not None, ran.stderr[-2000:]
    print(f"{target}: {done[1]} inputs")
    assert int(done[1]) > 100
