"""`python -m brakit`: would it run here, and why (not); where it looks for a server; every setting."""

from __future__ import annotations

import sys

from brakit import __version__
from brakit.activation import decide
from brakit.config import SETTINGS, Config
from brakit.discovery import find, folders


def main() -> int:
    import os

    config = Config()
    decision = decide(config)
    write = sys.stdout.write
    write(f"brakit {__version__}, Python {sys.version.split()[0]}\n\n{decision.reason}\n\n")
    for problem in config.problems:
        write(f"{problem}\n")
    write("Looks for a server in: " + (", ".join(folders(config, os.getcwd())) if not config.port else "BRAKIT_PORT") + "\n")
    for address in find(config, os.getcwd()):
        write(f"Finds: {address.host}:{address.port}\n")
    write("\nSettings, all by environment variable:\n")
    for setting in SETTINGS:
        write(f"  {setting.variable:<18} {getattr(config, setting.name)!r:<14} {setting.doc}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
