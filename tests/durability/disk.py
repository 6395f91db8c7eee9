"""A disk whose every write is known, so that the power can be cut at any of them; and one that fails on request (`disk.c`)."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

SECTOR = 512
"""What a disk writes whole or not at all."""


class Step(NamedTuple):
    """`what`: W, `data` written at `at`; T, cut to `at` bytes; S, synced; U, removed."""

    what: str
    path: str
    at: int = 0
    data: bytes = b""


def built(folder: Path) -> Path:
    """The library, to be preloaded. Skips the test where it cannot be made."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not Path("/proc/self/fd").is_dir():
        pytest.skip("a C compiler and /proc are needed to see what is written to the disk")
    library = folder / "disk.so"
    source = Path(__file__).with_name("disk.c")
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
    return library


def preloaded(folder: Path, watched: Path, *, journal: Path | None = None, fault: Path | None = None) -> dict[str, str]:
    """Environment of a process whose files below `watched` lie on this disk."""
    found = {"LD_PRELOAD": str(built(folder)), "DISK_PATH": str(watched)}
    if journal is not None:
        found["DISK_JOURNAL"] = str(journal)
    if fault is not None:
        found["DISK_FAULT"] = str(fault)
    return found


def steps(journal: Path) -> list[Step]:
    """What was done, in order."""
    found = []
    with journal.open("rb") as file:
        while line := file.readline():
            what, path, *numbers = line.decode().split()
            if what == "W":
                found.append(Step(what, path, int(numbers[0]), file.read(int(numbers[1]))))
            else:
                found.append(Step(what, path, int(numbers[0]) if numbers else 0))
    return found


def after_power_loss(done: Sequence[Step], rng: random.Random) -> dict[str, bytes]:
    """Path → content: what a sync confirmed is there; of the rest any part may be, in any order, the last sectors torn.

    File systems keep the order of what they do to folders: a file that was removed is gone.
    """
    files: dict[str, bytearray] = {}
    waiting: dict[str, list[Step]] = {}
    for step in done:
        if step.what == "S":
            for one in waiting.pop(step.path, []):
                _apply(files, one)
        elif step.what == "U":
            files.pop(step.path, None)
            waiting.pop(step.path, None)
        else:
            waiting.setdefault(step.path, []).append(step)
    share = rng.choice((0.0, 0.5, 0.9, 1.0))
    for pending in waiting.values():
        for step in pending:
            if rng.random() < share:
                _apply(files, step)
            elif step.what == "W" and rng.random() < 0.3:
                _apply(files, step._replace(data=step.data[: rng.randrange(len(step.data) // SECTOR + 1) * SECTOR]))
    return {path: bytes(content) for path, content in files.items()}


def _apply(files: dict[str, bytearray], step: Step) -> None:
    content = files.setdefault(step.path, bytearray())
    if step.what == "T":
        del content[step.at :]
        content.extend(bytes(step.at - len(content)))
    else:
        content.extend(bytes(max(0, step.at - len(content))))
        content[step.at : step.at + len(step.data)] = step.data


def tells(path: Path, number: int | None) -> None:
    """Make the disk fail with an errno, or whole again."""
    if number is None:
        path.unlink()
    else:
        fresh = path.with_suffix(".new")
        fresh.write_text(str(number))
        fresh.replace(path)
