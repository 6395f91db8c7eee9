"""One process: starting once, last words, exit codes, child processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import brakit.client
from brakit.activation import Decision
from brakit.client import Client
from brakit.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sdk.tests.conftest import Py, Sink


def test_last_words_are_delivered(py: Py, sink: Sink) -> None:
    ran = py("import brakit, logging\nlogging.error('last words')", BRAKIT_PORT=str(sink.port))
    assert ran.rc == 0
    assert sink.messages() == ["last words"]


ENDS = {
    "exit": ("raise SystemExit(3)", 3),
    "sys.exit": ("import sys; sys.exit(7)", 7),
    "text": ("import sys; sys.exit('a reason')", 1),
    "error": ("def f():\n    raise ValueError('x' * 10)\nf()", 1),
    "group": (
        "def f():\n    try:\n        1 / 0\n    except ZeroDivisionError as e:\n        raise KeyError('k') from e\nf()",
        1,
    ),
    "interrupt": ("import os, signal; os.kill(os.getpid(), signal.SIGINT)\nimport time; time.sleep(10)", -2),
    "terminate": ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)\nimport time; time.sleep(10)", -15),
    "thread": (
        "import threading\ndef f(): raise ValueError('in a thread')\nt = threading.Thread(target=f, name='T'); t.start(); t.join()",
        0,
    ),
    "syntax": ("eval('1 +')", 1),
}


@pytest.mark.parametrize("name", ENDS)
@pytest.mark.parametrize("mode", ["ok", "nobody"])
def test_exit_code_and_stderr_are_those_without_us(py: Py, sink: Sink, name: str, mode: str) -> None:
    end, rc = ENDS[name]
    code = f"import brakit, logging\nlogging.warning('before')\n{end}\n"
    port = str(sink.port) if mode == "ok" else "1"
    off = py(code, BRAKIT_DISABLE="1")
    on = py(code, BRAKIT_PORT=port)
    assert on.rc == off.rc == rc
    assert on.stderr.replace("app1.py", "app0.py") == off.stderr
    assert on.stdout == off.stdout
    if mode == "ok" and rc != -15:
        assert sink.messages()[0] == "before"
    if mode == "ok" and name in ("error", "group", "thread", "syntax"):
        assert len(sink.of("error")) == 1


@pytest.mark.parametrize("mode", ["hang", "slow", "nobody", "reset", "notours"])
def test_the_end_is_not_delayed(py: Py, sink: Sink, mode: str) -> None:
    sink.mode = "ok" if mode == "nobody" else mode
    code = "import brakit, logging\nlog = logging.getLogger('x'); log.addHandler(logging.NullHandler())\n"
    code += "for i in range(5000): log.error('x')\n"
    base = min(py(code, BRAKIT_DISABLE="1").seconds for _ in range(2))
    ran = py(code, BRAKIT_PORT="1" if mode == "nobody" else str(sink.port))
    assert ran.rc == 0
    assert ran.stderr == ""
    # Half a second for the last words, and what capturing 5000 records and starting a thread cost.
    assert ran.seconds - base < 0.5 + 0.6


def test_ctrl_c_ends_a_waiting_process_as_ever(py: Py, sink: Sink) -> None:
    process = py.start(
        "import brakit, logging, time\nlogging.error('up')\nprint('up', flush=True)\ntime.sleep(60)", BRAKIT_PORT=str(sink.port)
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT
    assert stderr.endswith("KeyboardInterrupt\n")
    assert "brakit" not in stderr
    assert sink.messages() == ["up"]


def test_no_thread_of_ours_is_left_after_shutdown(py: Py, sink: Sink) -> None:
    ran = py(
        "import brakit, logging, threading, time\nlogging.error('x')\nbrakit.flush()\n"
        "print([t.name for t in threading.enumerate()])\nbrakit.shutdown()\n"
        "[t.join(5) for t in threading.enumerate() if t.name == 'brakit-sender']\nprint([t.name for t in threading.enumerate()])\n"
        "logging.error('y')\nprint(brakit.client.current())",
        BRAKIT_PORT=str(sink.port),
    )
    assert ran.stdout == "['MainThread', 'brakit-sender']\n['MainThread']\nNone\n"
    assert sink.messages() == ["x"]


def test_activating_twice_is_once_and_again_after_shutdown(py: Py, sink: Sink) -> None:
    ran = py(
        "import importlib, sys, logging\nimport brakit\nfirst = brakit.client.current()\nimportlib.reload(brakit)\n"
        "assert brakit.client.current() is first\n"
        "finders = [f for f in sys.meta_path if type(f).__module__ == 'brakit.patch']\nassert len(finders) == 1\n"
        "brakit.shutdown()\nfrom brakit.client import activate\nprint(activate().reason)\n"
        "assert brakit.client.current() is not first\nlogging.error('again')\n",
        BRAKIT_PORT=str(sink.port),
    )
    assert ran.stdout == "on: nothing speaks against it\n"
    assert ran.rc == 0, ran.stderr
    assert sink.messages() == ["again"]


def test_what_is_wrong_with_the_settings_is_said_and_no_more(py: Py) -> None:
    ran = py("import brakit\nprint('runs')", BRAKIT_PORT="abc", BRAKIT_BODIES="perhaps")
    assert ran.stdout == "runs\n"
    assert ran.rc == 0
    assert len(ran.stderr.splitlines()) == 2


def test_no_stderr_and_no_working_folder_are_no_error(py: Py, sink: Sink, tmp_path: Path) -> None:
    code = (
        "import os, sys, tempfile\nfolder = tempfile.mkdtemp(); os.chdir(folder); os.rmdir(folder)\nsys.stderr = None\n"
        "import brakit\nwith brakit.span('x'): pass\nprint(brakit.flush())"
    )
    ran = py(code, BRAKIT_PORT=str(sink.port), BRAKIT_BUFFER="abc")
    assert (ran.rc, ran.stdout) == (0, "True\n")
    assert [event["data"]["name"] for event in sink.of("span")] == ["x"]


def test_a_failure_while_starting_leaves_the_app_alone(py: Py) -> None:
    ran = py(
        "import os\nreal = os.listdir\ndef listdir(path='.'):\n    if 'brakit' in str(path): raise NotADirectoryError(path)\n"
        "    return real(path)\nos.listdir = listdir\nimport brakit, logging\nlogging.error('x')\nprint(brakit.flush())"
    )
    assert (ran.rc, ran.stdout, ran.stderr) == (0, "True\n", "ERROR:root:x\n")


def test_a_thread_that_cannot_be_started_costs_nothing_but_the_wait_for_the_end(py: Py, sink: Sink) -> None:
    ran = py(
        'import threading\ndef start(self): raise RuntimeError("can\'t start new thread")\nthreading.Thread.start = start\n'
        "import brakit, logging\nfor i in range(50): logging.error('x')",
        BRAKIT_PORT=str(sink.port),
    )
    assert ran.rc == 0
    assert "brakit" not in ran.stderr
    assert len(sink.events) == 50


MULTIPROCESSING = """
import brakit, logging, multiprocessing, os, sys
log = logging.getLogger("app")

def work(number):
    log.error("child %d of %d", number, os.getpid())
    return number

if __name__ == "__main__":
    log.error("parent 0 of %d", os.getpid())
    context = multiprocessing.get_context(sys.argv[1])
    children = [context.Process(target=work, args=(number,)) for number in range(1, 4)]
    for child in children: child.start()
    for child in children: child.join()
    print([child.exitcode for child in children])
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_deliver_their_last_words(py: Py, sink: Sink, method: str) -> None:
    ran = py(MULTIPROCESSING, method, BRAKIT_PORT=str(sink.port))
    assert ran.stdout == "[0, 0, 0]\n"
    messages = sorted(sink.messages())
    assert [message.rpartition(" of ")[0] for message in messages] == ["child 1", "child 2", "child 3", "parent 0"]
    pids = {payload["resource"]["pid"] for payload in sink.payloads}
    assert len(pids) == 4


POOL = """
import brakit, sys
from concurrent.futures import ProcessPoolExecutor
import multiprocessing
import httpx

class Failure(Exception): pass

def view(number):
    if number == 3: raise Failure("three")
    return number, httpx.Client.send.__name__

if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(sys.argv[1])) as pool:
        print([pool.submit(view, number).result() for number in range(3)])
        print(repr(pool.submit(view, 3).exception()), pool.submit(httpx.URL, "http://a.test/").result())
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_work_in_process_pools_is_pickled_as_ever(py: Py, sink: Sink, method: str) -> None:
    ran = py(POOL, method, BRAKIT_PORT=str(sink.port), timeout=60)
    assert ran.stdout == "[(0, 'send'), (1, 'send'), (2, 'send')]\nFailure('three') http://a.test/\n", ran.stderr


def test_the_environment_of_child_processes_is_not_touched(client: Client) -> None:
    before = dict(os.environ)
    out = subprocess.run(
        [sys.executable, "-c", "import os; print(sorted(os.environ))"], env={"A": "1"}, capture_output=True, text=True
    )
    assert "BRAKIT" not in out.stdout
    assert dict(os.environ) == before


def test_the_resource_names_the_process(client: Client, tmp_path: Path) -> None:
    client.folder = str(tmp_path)
    resource = client.resource()
    assert resource["pid"] == os.getpid()
    assert resource["service"] == tmp_path.name
    assert resource["root"] == str(tmp_path)
    assert isinstance(resource["started"], float)
    assert abs(resource["started"] - time.time() * 1000) < 60_000


def test_one_slot(client: Client) -> None:
    assert brakit.client.current() is client
    assert threading.main_thread().is_alive()
    other = Client(Config({}), Decision(True, "on"))
    assert brakit.client.current() is not other
    start: Callable[[], Any] = other.shutdown
    start()
