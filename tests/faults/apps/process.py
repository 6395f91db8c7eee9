"""Programs of their own (`script.py`): one ends with an exception, one has a child that it forks."""

from __future__ import annotations

from contextlib import AbstractContextManager

from tests.faults.observing import Run
from tests.faults.processes import ProcessSweep
from tests.faults.sweep import App

SWEEP = ProcessSweep


def none() -> AbstractContextManager[Run]:
    """What runs is in a process of its own."""
    raise NotImplementedError


APPS = [
    App("fails", none, ("sys.py",)),
    App("forks", none, ("multiprocessing.py",)),
]
