"""arq: each run of a job's function, cron jobs too, through `Worker.run_job`; retries are runs of their own.

Enqueuing (`ArqRedis.enqueue_job`) is a span `enqueue <function>`; our ids travel inside the serialized job, where the serializer is
arq's own or a function of `json`, `msgpack` or `pickle`; with others a job is linked to no request. A run that raises `Retry` is
`retried`; one that is cancelled, by a timeout or by the worker's end, is `failed`.

Not recorded: jobs that expired, are unknown or were aborted before their start; arguments and results; what the worker says to Redis.
"""

from __future__ import annotations

from contextvars import ContextVar

from brakit import guard
from brakit.guard import Raised
from brakit.instrumentations._jobs import Enqueue, Run, machinery, since

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=0.25,<1"

KEY = "brakit"
SERIALIZERS = ("_pickle", "pickle", "json", "msgpack", "msgpack._cmsgpack")

_ids: ContextVar[object] = ContextVar("brakit_arq_ids", default=None)


def instrument(patch: Patches) -> None:
    patch.probe("arq.connections:ArqRedis.enqueue_job", enqueue)
    patch.probe("arq.connections:serialize_job", serialize)
    patch.probe("arq.worker:deserialize_job_raw", deserialize)
    patch.probe("arq.worker:Worker.main", machinery)

    def run_job(call: Call) -> Generator[None, Any, None]:
        """What the worker does around a function is its own business. It runs in a task of its own."""
        worker = call.args[0]
        if vars(worker).get("_brakit") is not patch:
            vars(worker)["_brakit"] = patch
            for function in worker.functions.values():
                cover(patch, function, worker.queue_name)
        _ids.set(None)
        yield from machinery(call)

    patch.probe("arq.worker:Worker.run_job", run_job)


def cover(patch: Patches, function: Any, queue: str) -> None:
    """Put a probe around the coroutine function of a job."""
    coroutine = function.coroutine

    def run(call: Call) -> Generator[None, Any, None]:
        job: Any = call.args[0]
        retries = job.get("job_try")
        made = Run(
            call.client,
            "arq",
            function.name,
            _ids.get() or {},
            function=coroutine,
            queue=queue,
            attempt=retries if type(retries) is int else 1,
            message_id=job.get("job_id"),
            wait_ms=since(job.get("enqueue_time")),
        )
        with made:
            try:
                yield
            except Raised as raised:
                again = type(raised.error).__name__ in ("Retry", "RetryJob")
                made.end("retried" if again else "failed", raised.error, report=not again)
            else:
                made.end()

    patch.wrap(function, "coroutine", "arq.worker:Function.coroutine", run)


def enqueue(call: Call) -> Generator[None, Any, None]:
    """A job goes into the queue."""
    with Enqueue(call.client, call.arg("function"), 3, queue=call.kwargs.get("_queue_name")) as added:
        before = _ids.get()
        _ids.set(added.ids)
        try:
            yield
        finally:
            _ids.set(before)


def serialize(call: Call) -> Generator[None, Any, None]:
    """Let the dict that is serialized have our ids: who reads it takes out what he knows by name."""
    from pickle import dumps

    ids, given = _ids.get(), call.kwargs.get("serializer")
    if ids and (given is None or getattr(given, "__module__", "") in SERIALIZERS):
        serializer: Any = dumps if given is None else given

        def with_ids(data: dict[str, Any]) -> Any:
            return serializer({**data, KEY: ids})

        call.kwargs = {**call.kwargs, "serializer": with_ids}
    yield


def deserialize(call: Call) -> Generator[None, Any, None]:
    """Take our ids out of what is read."""
    from pickle import loads

    deserializer: Any = call.kwargs.get("deserializer") or loads

    def noting(raw: bytes) -> Any:
        data = deserializer(raw)
        guard.run(call.client.failures, "arq:ids", note, data)
        return data

    call.kwargs = {**call.kwargs, "deserializer": noting}
    yield


def note(data: Any) -> None:
    _ids.set(data.get(KEY) if type(data) is dict else None)
