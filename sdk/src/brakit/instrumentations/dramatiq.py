"""Dramatiq: each processing of a message is a job, through the worker's `process_message`; middleware lies inside of it.

Enqueuing (`enqueue` of the Redis, RabbitMQ and stub brokers, so `send`, pipelines, groups and retries) is a span `enqueue <actor>`; our
ids travel in the message's options, on a copy of it. A message that the Retries middleware has enqueued again is `retried`, a skipped
one `rejected`; an exception that the actor names in `throws` fails the job, and is no error of its own.

Not recorded: arguments and results; what the broker says to its server; brokers of others, where they do not build on those three.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from brakit.guard import Raised
from brakit.instrumentations._jobs import Enqueue, Run, hush, machinery

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=1.12,<3"

OPTION = "brakit"

_run: ContextVar[Run | None] = ContextVar("brakit_dramatiq_run", default=None)


def instrument(patch: Patches) -> None:
    for broker in ("redis:RedisBroker", "rabbitmq:RabbitmqBroker", "stub:StubBroker"):
        patch.probe(f"dramatiq.brokers.{broker}.enqueue", enqueue)
    patch.probe("dramatiq.worker:_WorkerThread.process_message", process)
    patch.probe("dramatiq.worker:_ConsumerThread.run", machinery)
    patch.probe("dramatiq.worker:_WorkerThread.run", machinery)
    patch.when("dramatiq.broker", "dramatiq.broker:Broker.emit_after", cover_broker, patch)
    patch.probe("dramatiq.actor:Actor.__call__", actor)


def cover_broker(patch: Patches) -> None:
    broker = sys.modules["dramatiq.broker"].Broker
    patch.hook(broker, "emit_after", "dramatiq.broker:Broker.emit_after", outcome)


def enqueue(call: Call) -> Generator[None, Any, None]:
    """A message goes into a queue: a copy of it that has our ids."""
    message = call.arg("message")
    with Enqueue(call.client, message.actor_name, 3, queue=message.queue_name) as added:
        if OPTION not in message.options or added.by_the_app:
            call.replace("message", message.copy(options={OPTION: added.ids}))
        yield


def process(call: Call) -> Generator[None, Any, None]:
    """One processing of a message. The worker keeps what goes wrong to itself: `outcome` tells."""
    message = call.arg("message")
    options = message.options
    retries = options.get("retries")
    run = Run(
        call.client,
        "dramatiq",
        message.actor_name,
        options.get(OPTION),
        function=_function(call.args[0], message.actor_name),
        queue=message.queue_name,
        attempt=retries + 1 if type(retries) is int else 1,
        message_id=message.message_id,
    )
    with run:
        before = _run.get()
        _run.set(run)
        hush(True)
        try:
            yield
        except Raised as raised:
            run.error = run.error or raised.error
        finally:
            _run.set(before)
            error, status = run.error, run.record.data.get("status")
            throws = options.get("throws") or _throws(call.args[0], message.actor_name)
            expected = error is not None and (type(error).__name__ == "Retry" or bool(throws and isinstance(error, throws)))
            if error is not None and not status:
                status = "failed" if message.failed or options.get("retries") == retries else "retried"
            run.end(str(status or ""), report=not expected)


def actor(_: Call) -> Generator[None, Any, None]:
    """The function of the app's: what it does is not the broker's own."""
    before = hush(False)
    try:
        yield
    finally:
        hush(before)


def outcome(_broker: Any, signal: str, *_: Any, **known: Any) -> None:
    """The worker tells the middleware how a message ended."""
    run = _run.get()
    if run is None:
        return
    if signal == "process_message":
        error = known.get("exception")
        run.error = error if isinstance(error, BaseException) else None
    elif signal == "skip_message":
        run.record.data["status"] = "rejected"


def _function(thread: Any, name: str) -> Any:
    known = thread.broker.actors.get(name)
    return vars(known).get("fn") if known is not None else None


def _throws(thread: Any, name: str) -> Any:
    known = thread.broker.actors.get(name)
    return known.options.get("throws") if known is not None else None
