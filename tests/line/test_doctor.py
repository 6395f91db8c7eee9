"""`python -m brakit doctor` beside the real server: what running apps have told it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.line.processes import Process, Server

APP = """
import brakit, logging
from brakit import client

active = client.current()
active.failures.add("seam", KeyError("password=hunter2"))
active.patches.versions["olddb"] = "0.1: not supported, >=1 is"
logging.getLogger("shop").warning("here")
active.sender.drop("encoding", 4)
assert brakit.flush(10)
"""


def doctor(folder: Path, *words: str) -> tuple[int, str]:
    """Exit code and output, in an environment where nothing speaks against brakit."""
    ran = subprocess.run(
        [sys.executable, "-m", "brakit", "doctor", *words], cwd=folder, env={}, capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    return ran.returncode, ran.stdout


def test_what_a_running_app_has_told_the_server(server: Server, start: Callable[..., Process], tmp_path: Path) -> None:
    app = start([sys.executable, "-c", APP], BRAKIT_SERVICE="shop")
    assert app.popen.wait(20) == 0, app.text()
    code, text = doctor(tmp_path)
    [head] = [line for line in text.splitlines() if line.startswith("  shop (process ")]
    assert " events, last " in head
    assert head.endswith("dropped: 4 encoding")
    assert "    refused: olddb 0.1: not supported, >=1 is" in text
    assert "    failed in brakit itself: seam: KeyError: " in text
    assert "hunter2" not in text
    # Something of ours has failed there.
    assert code == 1
    [found] = json.loads(doctor(tmp_path, "--json")[1])["servers"]
    assert found["url"] == f"http://127.0.0.1:{server.port}"
    assert found["runs"][0]["service"] == "shop"


def test_a_server_that_nobody_has_sent_to(server: Server, tmp_path: Path) -> None:
    code, text = doctor(tmp_path)
    assert "Nothing yet. Does the app say `import brakit`" in text
    assert code == 0
