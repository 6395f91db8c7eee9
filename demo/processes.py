"""The demo's processes: started in sessions of their own, so that Ctrl-C reaches the demo alone, and ended by their ids."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parent.parent
"""The repository: where `demo` can be imported from."""


class Ended(Exception):
    """A process that should run does not; the text says which, how it ended and what it said last."""


class Process:
    """A running process and the file with its output."""

    def __init__(self, name: str, command: Sequence[str], log: Path, variables: Mapping[str, str]) -> None:
        """Start `command` in the repository, with `variables` added to an environment without brakit's own."""
        self.name = name
        self._log = log
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("BRAKIT_")}
        with log.open("wb") as output:
            self._popen = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**inherited, **variables},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def check(self) -> None:
        """Raise `Ended` unless it runs."""
        code = self._popen.poll()
        if code is not None:
            raise Ended(f"{self.name} ended by itself with code {code}. Its last lines:\n{self.last_lines()}")

    def last_lines(self, number: int = 25) -> str:
        """What it wrote last."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-number:])

    def ask_to_stop(self) -> None:
        """Send SIGTERM, if it runs."""
        if self._popen.poll() is None:
            self._popen.terminate()

    def wait(self, until: float) -> None:
        """Wait for its end until the monotonic time `until`; kill it then."""
        try:
            self._popen.wait(max(0, until - monotonic()))
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()


def stop(processes: Sequence[Process], seconds: float) -> None:
    """End `processes` all together, within `seconds`."""
    for process in processes:
        process.ask_to_stop()
    until = monotonic() + seconds
    for process in processes:
        process.wait(until)


def free_ports(number: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
