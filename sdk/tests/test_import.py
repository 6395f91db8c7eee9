"""`import brakit` is a guest: the standard library alone, no thread, no file, no socket, and quick."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import brakit

if TYPE_CHECKING:
    from pathlib import Path

    from sdk.tests.conftest import Py

WATCH = """
import sys, json
events = []
def hook(name, args):
    if name == "open" and not (isinstance(args[1], str) and "w" in args[1]) and isinstance(args[0], str):
        events.append([name, args[0]])
    elif name.startswith(("open", "socket", "subprocess", "os.", "shutil", "tempfile", "urllib", "ctypes", "_thread.start")):
        events.append([name, str(args[:1])])
before = set(sys.modules)
sys.addaudithook(hook)
import brakit
found, events = events, []
import threading
modules = sorted(set(sys.modules) - before)
print(json.dumps({"modules": modules, "events": found, "threads": threading.active_count(), "path": sys.path}))
"""


def test_nothing_but_the_standard_library_and_no_side_effect(py: Py, tmp_path: Path) -> None:
    # Whether compiled files are written is the interpreter's business.
    ran = py(WATCH, PYTHONDONTWRITEBYTECODE="1")
    assert ran.stderr == ""
    seen = json.loads(ran.stdout)
    ours = os.path.dirname(brakit.__file__)  # noqa: PTH120, compared as text
    library = os.path.dirname(os.__file__)  # noqa: PTH120
    top = {name.partition(".")[0] for name in seen["modules"]}
    assert top - {"brakit", "threading"} <= set(sys.stdlib_module_names)
    assert seen["threads"] == 1
    for name, argument in seen["events"]:
        assert name in ("open", "os.listdir"), (name, argument)
        if name == "open":
            assert argument.startswith((ours, library)) or argument.endswith("-info/entry_points.txt"), argument
        else:
            # Where distributions may lie that bring instrumentations.
            assert ours in argument or any((folder or ".") in argument for folder in seen["path"]), argument
    assert list(tmp_path.iterdir()) == [tmp_path / "app0.py"]


def test_what_is_dear_to_import_comes_with_the_first_event(py: Py) -> None:
    ran = py(
        "import sys; before = set(sys.modules); import brakit; new = set(sys.modules) - before\n"
        "print(sorted(new & {'socket', 'json', 'threading', 'queue', 'asyncio', 'logging', 'inspect', 'linecache', 'hashlib', 'zlib',"
        " 'email', 'importlib.metadata', 'typing', 'dataclasses', 'brakit.wire', 'brakit.transport', 'brakit.events'}))"
    )
    assert ran.stdout == "[]\n"


def test_no_library_of_the_app_is_imported(py: Py) -> None:
    ran = py(
        "import brakit, sys\nprint([m for m in ('httpx', 'flask', 'starlette', 'sqlalchemy', 'uvicorn') if m in sys.modules])"
    )
    assert ran.stdout == "[]\n"


def test_no_event_no_thread(py: Py) -> None:
    ran = py("import brakit, threading, time\ntime.sleep(0.2)\nprint(threading.active_count(), brakit.flush())")
    assert ran.stdout == "1 True\n"


def test_the_order_of_imports_does_not_matter(py: Py) -> None:
    for order in (
        "import brakit, logging, httpx",
        "import logging, httpx\nimport brakit",
        "import httpx\nimport brakit\nimport logging",
    ):
        ran = py(
            f"{order}\nimport brakit\nprint(sorted(brakit.client.current().patches.versions.items()))\n"
            "print(hasattr(logging.Logger.callHandlers, '__wrapped__'), hasattr(httpx.Client.send, '__wrapped__'))"
        )
        assert ran.stdout.splitlines()[1] == "True True", ran
        assert "not supported" not in ran.stdout


def test_the_public_names() -> None:
    assert brakit.__all__ == ["asgi", "auth_check", "capture_error", "dbapi", "flush", "scrub", "shutdown", "span", "wsgi"]
    assert all(hasattr(brakit, name) for name in brakit.__all__)
    assert brakit.__version__
