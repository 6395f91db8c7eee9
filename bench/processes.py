"""The processes of a measurement: started on one core, stopped by process id."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

CORES = sorted(os.sched_getaffinity(0))
APP_CORE, LOAD_CORE = CORES[0], CORES[-1]
OFF = {"BRAKIT_DISABLE": "1"}


def on(port: int) -> dict[str, str]:
    """The environment of an app whose SDK sends to `port`."""
    return {"BRAKIT_ENABLE": "1", "BRAKIT_PORT": str(port)}


def environment(extra: dict[str, str]) -> dict[str, str]:
    """This process's environment without any of our variables, plus `extra`."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("BRAKIT_")}, **extra}


def pinned(core: int) -> list[str]:
    """Command line of this Python on one core."""
    return ["taskset", "-c", str(core), sys.executable]


@contextlib.contextmanager
def serving(arguments: list[str], extra: dict[str, str], core: int = APP_CORE) -> Iterator[int]:
    """A process that prints its port first; yields the port."""
    process = subprocess.Popen(
        [*pinned(core), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(extra),
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def output(arguments: list[str], extra: dict[str, str], core: int = APP_CORE) -> str:
    """What a process prints."""
    return subprocess.run(
        [*pinned(core), *arguments],
        capture_output=True,
        text=True,
        check=True,
        env=environment(extra),
    ).stdout
