"""APScheduler 3: each run of a scheduled job, through `run_job` and `run_coroutine_job` of its executors, of whatever kind.

`queue` is the job store, `messageId` the job's id, `waitMs` how late it was. A run that comes so late that it is skipped is `rejected`.
Runs that are caught up with in one go (`coalesce=False`) are one record. A run is linked to no request, not even to one that added it.

Not recorded: arguments and results; what the scheduler says to its job store.
"""

from __future__ import annotations

import sys

from brakit.guard import Raised
from brakit.instrumentations._jobs import Run, follow, machinery, since

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=3.9,<4"

EXECUTORS = ("asyncio", "debug", "gevent", "pool", "tornado", "twisted")


def instrument(patch: Patches) -> None:
    for module in ("apscheduler.executors.base", "apscheduler.executors.base_py3"):
        patch.when(module, module, cover, patch, module)
    patch.probe("apscheduler.schedulers.base:BaseScheduler._process_jobs", machinery)


def cover(patch: Patches, name: str) -> None:
    """The functions of a module, here and where executors have them under names of their own."""
    module: ModuleType = sys.modules[name]
    for function in ("run_job", "run_coroutine_job"):
        if getattr(vars(module).get(function), "__module__", "") == name:
            patch.wrap(module, function, f"{name}:{function}", run_job)
            for executor in EXECUTORS:
                follow(patch, f"apscheduler.executors.{executor}", function, module)


def run_job(call: Call) -> Generator[None, Any, None]:
    """One run. The events that come back tell how it ended: nothing is raised."""
    job, times = call.arg("job"), call.arg("run_times")
    run = Run(
        call.client,
        "apscheduler",
        job.name,
        {},
        function=job.func,
        queue=call.arg("jobstore_alias"),
        message_id=job.id,
        wait_ms=since(times[-1]) if times else None,
    )
    with run:
        try:
            events = yield
        except Raised as raised:
            run.end(error=raised.error)
            return
        errors = [error for event in events if isinstance(error := getattr(event, "exception", None), BaseException)]
        ran = any(event.code != MISSED for event in events)
        run.end("" if ran else "rejected", errors[-1] if errors else None)


MISSED = 2**14
"""`apscheduler.events.EVENT_JOB_MISSED`"""
