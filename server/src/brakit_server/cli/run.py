"""`brakit run -- COMMAND`: run a program under observation, without an import line in it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

import brakit
from brakit_server import running
from brakit_server.config import Config, ConfigError
from brakit_server.terminal import plain

START_S = 15.0
BOOTSTRAP = Path(__file__).parent.parent / "bootstrap"


def run(
    *command: Annotated[str, Parameter(allow_leading_hyphen=True)],
    dir: Annotated[str | None, Parameter(allow_leading_hyphen=False)] = None,
) -> int:
    """Run a program under observation: starts the server if none runs, and activates the SDK in the program.

    The program takes over this process: signals and its exit code are its own. A server that was started for it ends with it.

    Example: `brakit run -- uvicorn app:app --reload`

    Parameters
    ----------
    command
        The program and its arguments, behind `--`.
    dir
        The server's data folder; by default `.brakit` in the project.
    """
    if not command:
        sys.stderr.write("brakit run: no command given; write it behind --, e.g. brakit run -- uvicorn app:app\n")
        return 2
    try:
        config = Config.load(dir=dir)
        server = running.find(config.dir) or start(config)
    except ConfigError as problem:
        sys.stderr.write(plain(f"brakit run: {problem}\n"))
        return 2
    if server is None:
        sys.stderr.write("brakit run: the server did not start; `brakit serve` shows why. Running the command without it.\n")
    else:
        sys.stderr.write(f"brakit: {server.url}\n")
        sys.stderr.flush()
    environment = {**os.environ, **activation(config.dir)}
    try:
        os.execvpe(command[0], list(command), environment)
    except FileNotFoundError:
        sys.stderr.write(plain(f"brakit run: {command[0]}: no such program\n"))
        return 127
    except PermissionError:
        sys.stderr.write(plain(f"brakit run: {command[0]}: not permitted\n"))
        return 126


def activation(data: Path) -> dict[str, str]:
    """The environment in which a Python program, and every one that it starts, activates the SDK by itself."""
    path = os.environ.get("PYTHONPATH")
    return {
        "PYTHONPATH": os.pathsep.join([str(BOOTSTRAP), path] if path else [str(BOOTSTRAP)]),
        "BRAKIT_SDK": str(Path(brakit.__file__).parent),
        "BRAKIT_DIR": str(data),
        "BRAKIT_ENABLE": os.environ.get("BRAKIT_ENABLE", "1"),
    }


def start(config: Config) -> running.Server | None:
    """Start a server that ends when this process does, and wait until it answers; None when it does not within 15 seconds.

    It is started through a process that exits at once, so that it is nobody's child: a program that waits for its children must not
    find one that it did not start.
    """
    arguments = ["serve", "--dir", str(config.dir), "--until-exit", str(os.getpid())]
    launch = (
        "import subprocess, sys; "
        "subprocess.Popen([sys.executable, '-m', 'brakit_server.cli', *sys.argv[2:]], stdin=subprocess.DEVNULL, "
        "stdout=open(sys.argv[1], 'ab'), stderr=subprocess.STDOUT, start_new_session=True)"
    )
    running.prepare(config.dir)
    log = config.dir / "server.log"
    subprocess.run([sys.executable, "-c", launch, str(log), *arguments], check=True, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        server = running.find(config.dir)
        if server is not None:
            return server
        time.sleep(0.05)
    return None
