"""Huey: each execution of a task, through `Huey._execute` and `Task.execute`; periodic tasks and immediate mode too.

The job lasts as long as its function; pre- and post-execute hooks and what is enqueued next belong to it too. Enqueuing is a span
`enqueue <task>`. Our ids travel behind the pickled message, where `pickle` reads no more; with signed, compressed or other serializers
they do not travel, and a job is linked to its request in immediate mode only. A task that is tried again is `retried`; one that is
locked, limited or cancelled is `rejected`.

Not recorded: tasks that are revoked or have expired, which do not run; arguments and results; what the consumer says to its storage.
"""

from __future__ import annotations

import json

from brakit import guard
from brakit.clocks import clock
from brakit.guard import Raised
from brakit.instrumentations._jobs import Enqueue, Run, hush, machinery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=2.4,<4"

IDS = "_brakit"
RETRIES = "retries"
MARK = b"\nbrakit:"
MAX_TRAILER = 2048
SIGNALS = frozenset(("RetryTask", "CancelExecution", "TaskLockedException", "RateLimitExceeded"))


def instrument(patch: Patches) -> None:
    patch.probe("huey.api:Huey.enqueue", enqueue)
    patch.probe("huey.api:Huey.serialize_task", serialize)
    patch.probe("huey.api:Huey.deserialize_task", deserialize)
    patch.probe("huey.api:Huey._execute", execute)
    patch.probe("huey.consumer:Worker.loop", machinery)
    patch.probe("huey.consumer:Scheduler.loop", machinery)


def enqueue(call: Call) -> Generator[None, Any, None]:
    """A task goes into the queue; groups and chords come by once more for each of theirs."""
    task, huey = call.arg("task"), call.args[0]
    if type(getattr(task, "id", None)) is not str:
        yield
        return
    with Enqueue(call.client, task.name, 3, queue=huey.name) as added:
        known = vars(task).get(IDS)
        if known is None or added.by_the_app:
            first = known.get(RETRIES) if type(known) is dict else None
            vars(task)[IDS] = {**added.ids, RETRIES: first or str(task.retries)}
        yield


def serialize(call: Call) -> Generator[None, Any, Any]:
    """The pickled message, with our ids behind its end: `pickle.loads` stops there."""
    data = yield
    ids, serializer = vars(call.arg("task")).get(IDS), call.args[0].serializer
    plain = type(serializer).__name__ == "Serializer" and type(serializer).__module__ == "huey.serializer" and not serializer.comp
    return data + MARK + json.dumps(ids).encode() if plain and ids and type(data) is bytes else None


def deserialize(call: Call) -> Generator[None, Any, None]:
    """A message comes back; what stands behind its end is ours."""
    data = call.arg("data")
    task = yield
    if type(data) is bytes:
        _, mark, trailer = data[-MAX_TRAILER:].rpartition(MARK)
        ids = json.loads(trailer) if mark else None
        if type(ids) is dict:
            vars(task)[IDS] = ids


def execute(call: Call) -> Generator[None, Any, None]:
    """One execution, with the consumer's own work before and after. Exceptions stay inside: the probe of the function sees them."""
    huey, task = call.args[0], call.arg("task")
    ids, retries = vars(task).get(IDS), task.retries
    first = ids.get(RETRIES) if type(ids) is dict else None
    run = Run(
        call.client,
        "huey",
        task.name,
        None if huey.immediate else ids or {},
        function=_function(type(task)),
        queue=huey.name,
        attempt=max(int(first) - retries, 0) + 1 if type(first) is str and first.isdigit() and type(retries) is int else 1,
        message_id=task.id,
    )

    def function(_: Call) -> Generator[None, Any, None]:
        run.record.started = clock()
        quiet = hush(False)
        try:
            yield
        except Raised as raised:
            run.error = raised.error
        finally:
            run.done = clock()
            hush(quiet)

    with run:
        # Each task is a class of its own, with a method of its own: this one object's is wrapped, for this one call.
        vars(task)["execute"] = guard.bracket(call.client, "huey.api:Task.execute", task.execute, function)
        hush(True)
        try:
            yield
        except Raised as raised:
            run.error = run.error or raised.error
        finally:
            vars(task).pop("execute", None)
            name = type(run.error).__name__
            again = name == "RetryTask" or (type(retries) is int and retries > 0)
            signal = name in SIGNALS
            run.end("" if run.error is None else "retried" if again else "rejected" if signal else "failed", report=not signal)


def _function(task: Any) -> Any:
    """The app's function, which the method of its task's class has in a cell."""
    method = vars(task).get("execute")
    names = getattr(getattr(method, "__code__", None), "co_freevars", ())
    return method.__closure__[names.index("func")].cell_contents if method is not None and "func" in names else None
