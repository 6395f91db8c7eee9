"""RQ: each execution of a job, through the worker's `perform_job` and `Job._execute`, in workers of all kinds.

Forking, spawning and simple workers are seen, and queues that run their jobs at once (`is_async=False`).
The job lasts as long as its function; its callbacks and what follows from its failure belong to it too. Enqueuing and scheduling
(`Queue._enqueue_job`, `Queue.schedule_job`) is a span `enqueue <function>`; our ids travel in a field of their own of the job's hash,
`brakit`, and nothing that the app sees of a job changes. With `retry=Retry(...)`, a job that fails and has retries left is `retried`.

Not recorded: jobs whose process is killed (timeouts of the monitor, `send_stop_job_command`); arguments and results; what workers and
schedulers say to Redis.
"""

from __future__ import annotations

import json
import sys
from contextvars import ContextVar

from brakit.clocks import clock
from brakit.guard import Raised
from brakit.instrumentations._jobs import Enqueue, Run, definition, hush, is_quiet, machinery, since

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import CodeType
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=1.16,<4"

EXIT_S = 0.5
FIELD = "brakit"
"""Field of a job's hash, and of its object, in which our ids travel."""
RETRIES = "retries"
MAX_FIELD = 2048

_run: ContextVar[Run | None] = ContextVar("brakit_rq_run", default=None)


def instrument(patch: Patches) -> None:
    patch.probe("rq.job:Job._execute", perform)
    for name in ("perform", "save"):
        patch.probe(f"rq.job:Job.{name}", machinery)
    patch.probe("rq.job:Job.to_dict", to_dict)
    patch.probe("rq.job:Job.restore", restore)
    patch.probe("rq.queue:Queue._enqueue_job", enqueue)
    patch.probe("rq.queue:Queue.schedule_job", enqueue)
    patch.when("rq.worker", "rq.worker:Worker", cover_workers, patch)


def cover_workers(patch: Patches) -> None:
    """The methods of workers, wherever in their line of classes they are defined: that differs by version."""
    module = sys.modules["rq.worker"]
    for worker in (module.Worker, module.SimpleWorker):
        for name, probe in (("perform_job", perform_job), ("work", machinery), ("__init__", machinery)):
            holder = next((base for base in worker.__mro__ if name in vars(base)), None)
            if holder is not None:
                patch.wrap(holder, name, f"rq.worker:{holder.__name__}.{name}", probe)


def enqueue(call: Call) -> Generator[None, Any, None]:
    """A job goes into a queue, or to the jobs that are due later. One that was there before keeps the ids it came with."""
    job = call.arg("job")
    queue = vars(call.args[0]).get("name")
    with Enqueue(call.client, _name(job), 3, queue=queue) as added:
        ids = vars(job).setdefault("_" + FIELD, added.ids)
        retries = vars(job).get("retries_left")
        if type(retries) is int:
            ids.setdefault(RETRIES, str(retries))
        yield


def to_dict(call: Call) -> Generator[None, Any, Any]:
    """What RQ writes into Redis has our ids. An app that asks gets what it always gets."""
    fields = yield
    ids = vars(call.args[0]).get("_" + FIELD)
    return {**fields, FIELD: json.dumps(ids)} if ids and is_quiet() else None


def restore(call: Call) -> Generator[None, Any, None]:
    """A job is read back from Redis."""
    raw = call.arg("raw_data")
    field = raw.get(FIELD.encode()) or raw.get(FIELD)
    yield
    if type(field) in (bytes, str) and len(field) <= MAX_FIELD:
        ids = json.loads(field)
        if type(ids) is dict:
            vars(call.args[0])["_" + FIELD] = ids


def perform_job(call: Call) -> Generator[None, Any, None]:
    """One execution, with the worker's own work before and after. A forked worker's process ends right behind it."""
    job = call.arg("job")
    run = begin(call, job)
    with run:
        before = _run.get()
        _run.set(run)
        # What the worker does for itself around the function; the function itself is none of it.
        hush(True)
        try:
            yield
        except Raised as raised:
            run.error = run.error or raised.error
        finally:
            _run.set(before)
            run.end(str(run.record.data.get("status") or ""))
            if getattr(call.args[0], "_is_horse", False):
                call.client.flush(EXIT_S)


def perform(call: Call) -> Generator[None, Any, None]:
    """The function. Without a worker around it, that is all there is of the execution."""
    job = call.args[0]
    outer = _run.get()
    run = outer or begin(call, job)
    run.record.started = clock()
    quiet = hush(False)
    try:
        result = yield
    except Raised as raised:
        run.error = raised.error
        left = vars(job).get("retries_left")
        if type(left) is int and left > 0:
            run.record.data["status"] = "retried"
    else:
        if type(result).__name__ == "Retry" and type(result).__module__.startswith("rq."):
            run.record.data["status"] = "retried"
    finally:
        hush(quiet)
        run.done = clock()
        try:
            # By now RQ has unpickled what it is.
            run.record.data["name"] = name = _name(job)
            run.record.site = _definition(name)
        finally:
            if outer is None:
                run.end(str(run.record.data.get("status") or ""))


def begin(call: Call, job: Any) -> Run:
    ids = vars(job).get("_" + FIELD)
    again = vars(job).get("number_of_retries")
    left, first = vars(job).get("retries_left"), (ids or {}).get(RETRIES, "")
    attempt = 1 + (again if type(again) is int else 0)
    if type(left) is int and type(first) is str and first.isdigit():
        attempt += max(int(first) - left, 0)
    return Run(
        call.client,
        "rq",
        _name(job),
        ids,
        queue=vars(job).get("origin"),
        attempt=attempt,
        message_id=vars(job).get("_id"),
        wait_ms=since(vars(job).get("enqueued_at")),
    )


def _name(job: Any) -> str:
    """The name of the function. What is not there in plain would have to be unpickled for it."""
    name = vars(job).get("_func_name")
    return name if type(name) is str else "job"


def _definition(name: str) -> tuple[CodeType, int] | None:
    module, _, function = name.rpartition(".")
    return definition(vars(sys.modules[module]).get(function)) if module in sys.modules else None
