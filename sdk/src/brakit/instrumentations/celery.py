"""Celery: each run of a task is a job, through the tracer that `celery.app.trace.build_tracer` makes of it: every pool, and eager mode.

A job begins before the task's own signals and ends after its result is stored and the next tasks of its chain are sent; those are
linked to it. Sending a task (`Celery.send_task`, so `delay`, `apply_async`, canvases, retries and beat) is a span `enqueue <task>`, and
our ids travel in the headers of the message. `attempt` counts retries; a `Retry` makes the job `retried`, a `Reject` `rejected`; an
exception that the task names in `throws` fails the job, and is no error of its own. A run in eager mode belongs to whoever called it.

Not recorded: tasks that are revoked, have expired or are unknown, which do not run; arguments and results; what the worker says to its
broker and result backend.
"""

from __future__ import annotations

import sys

from brakit import guard
from brakit.guard import Raised
from brakit.instrumentations._jobs import Enqueue, Run, follow, machinery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=5.2,<6"

EXIT_S = 0.5
_STATUS = {"RETRY": "retried", "REJECTED": "rejected", "FAILURE": "failed"}


def instrument(patch: Patches) -> None:
    patch.probe("celery.app.trace:build_tracer", build_tracer)
    patch.when("celery.app.trace", "celery.app.trace:build_tracer", follow_worker, patch)
    patch.probe("celery.app.base:Celery.send_task", send_task)
    patch.probe("celery.backends.base:Backend.store_result", machinery)
    patch.probe("celery.backends.base:Backend.on_chord_part_return", machinery)
    patch.probe("celery.worker.worker:WorkController.start", machinery)
    # A child of the prefork pool leaves through os._exit.
    patch.probe("celery.concurrency.prefork:process_destructor", last_words)


def follow_worker(patch: Patches) -> None:
    """The worker has the function under a name of its own."""
    follow(patch, "celery.worker.consumer.consumer", "build_tracer", sys.modules["celery.app.trace"])


def send_task(call: Call) -> Generator[None, Any, None]:
    """A task is put into a queue. The headers are copied: what the app passes stays as it is."""
    headers = call.kwargs.get("headers")
    with Enqueue(call.client, call.arg("name"), 3, queue=_queue(call.kwargs)) as added:
        call.kwargs = {**call.kwargs, "headers": {**(headers if isinstance(headers, dict) else {}), **added.ids}}
        yield


def build_tracer(call: Call) -> Generator[None, Any, Any]:
    """Put a probe around the tracer that is made here: it is called once for each run of the task."""
    task = call.arg("task")
    eager = bool(call.kwargs.get("eager"))
    tracer = yield

    def trace(run: Call) -> Generator[None, Any, None]:
        yield from traced(run, task, eager)

    return guard.bracket(call.client, "celery:trace_task", tracer, trace)


def traced(call: Call, task: Any, eager: bool) -> Generator[None, Any, None]:
    """One run. Called with the task's id, args, kwargs and the request: the headers of its message."""
    request = call.args[3] if len(call.args) > 3 else call.kwargs.get("request")
    request = request if isinstance(request, dict) else {}
    retries = request.get("retries")
    delivery = request.get("delivery_info")
    run = Run(
        call.client,
        "celery",
        task.name,
        # In eager mode the headers are what the app gave, and the caller is who runs it.
        None if eager else {name: request[name] for name in _TRAVELING if name in request},
        function=task.run,
        queue=delivery.get("routing_key") if isinstance(delivery, dict) else None,
        attempt=retries + 1 if type(retries) is int else 1,
        message_id=call.args[0] if call.args else None,
    )
    with run:
        try:
            result = yield
        except Raised as raised:
            # Eager mode lets the exception through, a Reject passes there as well.
            name = type(raised.error).__name__
            status = "rejected" if name == "Reject" else "retried" if name == "Retry" else "failed"
            run.end(status, raised.error, report=_unexpected(task, raised.error))
            return
        info = result.info
        error = info.retval if info is not None else None
        if not isinstance(error, BaseException) or info.state == "IGNORED":
            run.end("succeeded")
            return
        state = info.state
        if state == "RETRY":
            # What led to the retry, if anything did: the Retry itself is a signal.
            cause = getattr(error, "exc", None)
            run.end("retried", cause if isinstance(cause, BaseException) else error, report=False)
            return
        run.end(_STATUS.get(state, "failed"), error, report=state != "REJECTED" and _unexpected(task, error))


_TRAVELING = ("x-brakit-request-id", "x-brakit-enqueued", "traceparent")


def _unexpected(task: Any, error: BaseException) -> bool:
    """Whether an exception is an error: neither one of Celery's signals nor one that the task announces."""
    throws = task.throws
    return type(error).__name__ not in ("Reject", "Retry", "Ignore") and not (throws and isinstance(error, throws))


def _queue(options: dict[str, Any]) -> Any:
    queue = options.get("queue")
    return queue if type(queue) is str else options.get("routing_key")


def last_words(call: Call) -> Generator[None, Any, None]:
    """Send what is captured once the pool's own handlers have run."""
    try:
        yield
    except Raised:
        pass
    call.client.flush(EXIT_S)
