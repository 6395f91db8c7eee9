"""`brakit tokens`: the tokens of a server that others can reach."""

from __future__ import annotations

import sys

from brakit_server import running
from brakit_server import tokens as files
from brakit_server.config import Config, ConfigError
from brakit_server.terminal import plain


def tokens(*, dir: str | None = None, renew: bool = False) -> int:
    """Make the write token (for SDKs) and the read token (for people and agents), and say where they are.

    A server that listens beyond loopback does not start without them. They lie in two files of the data folder that only you can
    read, and are not printed.

    Example: `brakit tokens`

    Parameters
    ----------
    dir
        Data folder; by default `.brakit` in the project.
    renew
        Replace those that are there: the old ones, and every log-in with them, are worth nothing once the server starts again.
    """
    try:
        folder = Config.folder(dir=dir)
        running.prepare(folder)
        for name, whose in ((files.WRITE_FILE, "for SDKs, as BRAKIT_TOKEN"), (files.READ_FILE, "for people and agents")):
            path = folder / name
            made = renew or files.read(path) is None
            if made:
                running.write(path, files.fresh() + "\n")
            sys.stdout.write(plain(f"{'made' if made else 'kept'} {path} ({whose})\n"))
    except (ConfigError, files.TokenError, OSError) as problem:
        sys.stderr.write(plain(f"brakit tokens: {problem}\n"))
        return 2
    return 0
