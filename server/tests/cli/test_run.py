"""`brakit run -- …`: a program without an import line is observed; its signals and exit codes are its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.line.processes import Process, free_port, listens, wait_for

APP = """
from fastapi import FastAPI
app = FastAPI()

@app.get("/hello/{name}")
async def hello(name: str):
    return {"hello": name}
"""


def brakit(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "brakit_server.cli", *arguments]


def api(data: Path, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{(data / 'port').read_text()}/__brakit/api/{path}", timeout=5) as answer:
        return json.load(answer)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / ".brakit"


def test_reloading_app_is_observed_and_the_server_ends_with_it(tmp_path: Path, data: Path, start: Callable[..., Process]) -> None:
    (tmp_path / "shop.py").write_text(APP)
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "shop:app", "--reload", "--port", str(port), "--log-level", "warning"]
    app = start(brakit("run", "--dir", str(data), "--", *command))
    wait_for(lambda: listens(port), 30, app)
    server = json.loads((data / "server.json").read_text())["pid"]
    assert server != app.popen.pid
    assert f"http://127.0.0.1:{(data / 'port').read_text()}/__brakit" in app.text()

    def requests(search: str) -> Any:
        return api(data, f"requests?search={search}")["requests"]

    urllib.request.urlopen(f"http://127.0.0.1:{port}/hello/first").read()
    first = wait_for(lambda: requests("first"), 10, app)[0]
    assert first["route"] == "/hello/{name}"

    (tmp_path / "shop.py").write_text(APP + "\n# changed\n")

    def answered_by_another_process() -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/hello/second", timeout=2).read()
        except OSError:
            return False
        return any(request["run"] != first["run"] for request in requests("second"))

    wait_for(answered_by_another_process, 30, app)

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/__brakit") as page:
        assert page.url.startswith(f"http://127.0.0.1:{(data / 'port').read_text()}/__brakit")

    app.stop(signal.SIGTERM)
    wait_for(lambda: not alive(server), 10)
    assert not (data / "port").exists()


@pytest.mark.parametrize("code", [0, 3, 255])
def test_exit_code_is_the_programs(tmp_path: Path, data: Path, code: int) -> None:
    ran = subprocess.run(
        brakit("run", "--dir", str(data), "--", sys.executable, "-c", f"import sys; sys.exit({code})"),
        cwd=tmp_path, timeout=60, capture_output=True, text=True, env=clean(),
    )  # fmt: skip
    assert ran.returncode == code
    wait_for(lambda: not (data / "port").exists(), 10)


def test_signals_reach_the_program_alone(tmp_path: Path, data: Path, start: Callable[..., Process]) -> None:
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGUSR1, lambda *a: sys.exit(42))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    app = start(brakit("run", "--dir", str(data), "--", sys.executable, "-c", program))
    wait_for(lambda: "ready" in app.text(), 20, app)
    assert app.stop(signal.SIGUSR1) == 42
    interrupted = start(
        brakit("run", "--dir", str(data), "--", sys.executable, "-c", "import time; print('go', flush=True); time.sleep(60)")
    )
    wait_for(lambda: "go" in interrupted.text(), 20, interrupted)
    assert interrupted.stop(signal.SIGINT) == -signal.SIGINT or "KeyboardInterrupt" in interrupted.text()


def test_a_running_server_is_used_and_left_alone(tmp_path: Path, data: Path, start: Callable[..., Process]) -> None:
    server = start(brakit("serve", "--port", "0", "--dir", str(data)), name="server")
    wait_for((data / "port").exists, 20, server)
    subprocess.run(
        brakit("run", "--dir", str(data), "--", sys.executable, "-c", "import logging; logging.error('from the program')"),
        cwd=tmp_path, timeout=60, check=True, capture_output=True, env=clean(),
    )  # fmt: skip
    entries = wait_for(lambda: api(data, "logs?search=from%20the%20program")["entries"], 10, server)
    assert len(entries) == 1
    time.sleep(1.5)
    assert server.popen.poll() is None


def test_what_cannot_be_run_is_said(tmp_path: Path, data: Path) -> None:
    missing = subprocess.run(
        brakit("run", "--dir", str(data), "--", "no-such-program"), cwd=tmp_path, timeout=60, capture_output=True, text=True
    )
    assert missing.returncode == 127
    assert "no-such-program" in missing.stderr
    nothing = subprocess.run(brakit("run"), cwd=tmp_path, timeout=60, capture_output=True, text=True)
    assert nothing.returncode == 2
    assert "brakit run -- " in nothing.stderr


def test_another_sitecustomize_still_runs(tmp_path: Path, data: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import builtins; builtins.customized = True\n")
    program = "import sys; print(customized, 'brakit' in sys.modules, sys.modules['sitecustomize'].__file__)"
    ran = subprocess.run(
        brakit("run", "--dir", str(data), "--", sys.executable, "-c", program),
        cwd=tmp_path, timeout=60, capture_output=True, text=True, env=clean() | {"PYTHONPATH": str(folder)},
    )  # fmt: skip
    assert ran.stdout.split() == ["True", "True", str(folder / "sitecustomize.py")]


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("BRAKIT_", "PYTEST_"))}
