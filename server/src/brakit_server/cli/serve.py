"""`brakit serve`: the server, in the foreground."""

from __future__ import annotations

import sys

from brakit_server import app
from brakit_server.config import Config, ConfigError
from brakit_server.running import AlreadyRunning
from brakit_server.terminal import plain


def serve(
    *,
    host: str | None = None,
    port: int | None = None,
    dir: str | None = None,
    durability: str | None = None,
    max_bytes: int | None = None,
    max_age_days: float | None = None,
    max_memory: int | None = None,
    behind_proxy: bool | None = None,
    until_exit: int | None = None,
) -> int:
    """Run the server until it is stopped, and print the address of the dashboard.

    Example: `brakit serve`

    Parameters
    ----------
    host
        Address to listen on; beyond loopback there must be tokens (`brakit tokens`).
    port
        Port to listen on; by default 4747, or a free one when that is taken.
    dir
        Data folder; by default `.brakit` in the project.
    durability
        `normal`: an event that was answered with 204 survives a crash of the server; `full`: also one of the machine.
    max_bytes
        Size that the stored events may reach; the oldest go first.
    max_age_days
        Age that stored events may reach.
    max_memory
        Memory of the server in bytes above which SDKs are asked to wait.
    behind_proxy
        A proxy on this machine hands on what comes from elsewhere: ask for tokens on loopback too.
    until_exit
        Process id: stop when that process ends.
    """
    try:
        config = Config.load(
            host=host,
            port=port,
            dir=dir,
            durability=durability,
            max_bytes=max_bytes,
            max_age_days=max_age_days,
            max_memory=max_memory,
            behind_proxy=behind_proxy,
            until_exit=until_exit,
        )
        return app.serve(config)
    except (ConfigError, AlreadyRunning) as problem:
        sys.stderr.write(plain(f"brakit serve: {problem}\n"))
        return 2
