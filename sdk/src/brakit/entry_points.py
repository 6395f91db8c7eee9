"""Instrumentations that other distributions bring: those that name a module in the group `brakit.instrumentations`.

`importlib.metadata` would import the email package into the app for this, so the files are read as they lie there.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

GROUP = "brakit.instrumentations"
FILE = "entry_points.txt"
MAX_FILE = 64 * 1024


def find(folders: Iterable[str]) -> dict[str, str]:
    """The module of each instrumentation by the import name of its target; of two for one target, that which is imported first."""
    found: dict[str, str] = {}
    for folder in folders:
        try:
            names = os.listdir(folder or os.curdir)
        except OSError:
            continue
        for name in sorted(names):
            if name.endswith((".dist-info", ".egg-info")):
                for target, module in parse(_read(os.path.join(folder, name, FILE))).items():
                    found.setdefault(target, module)
    return found


def parse(text: str) -> dict[str, str]:
    """The entries of our group (https://packaging.python.org/specifications/entry-points/); whatever is none is passed over."""
    found: dict[str, str] = {}
    group = ""
    for line in text.splitlines() if GROUP in text else ():
        line = line.strip()
        if line.startswith("["):
            group = line.strip("[]").strip()
        elif group == GROUP and "=" in line and not line.startswith(("#", ";")):
            target, module = (part.strip() for part in line.split("=", 1))
            if _is_path(target) and _is_path(module):
                found[target] = module
    return found


def _is_path(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _read(path: str) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return ""
    try:
        return os.read(descriptor, MAX_FILE).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
