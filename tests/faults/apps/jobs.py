"""Queues: something is enqueued in a request and run by a worker in this process."""

# mypy: disable-error-code="import-untyped,import-not-found,untyped-decorator,misc,unused-ignore"

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

from tests.faults.bench import InLoop, InRequest
from tests.faults.observing import Run, See
from tests.faults.sweep import App

log = logging.getLogger("shop")
for name in ("rq.worker", "arq.worker", "celery", "dramatiq", "huey", "apscheduler"):
    logging.getLogger(name).setLevel(logging.CRITICAL + 1)
QUEUE = f"brakit-faults{os.getpid()}"
done: dict[str, int] = {}


def count(what: str) -> None:
    done[what] = done.get(what, 0) + 1


def add(a: int, b: int) -> int:
    count("add")
    log.warning("adding")
    return a + b


def fail() -> None:
    count("fail")
    raise ValueError("broken")


def told(see: See) -> None:
    for what, times in done.items():
        see.did(what, times)
    done.clear()


@contextlib.contextmanager
def celery() -> Iterator[Run]:
    import celery

    app: Any = celery.Celery("faults", broker="memory://localhost//", backend="cache+memory://", set_as_current=False)
    app.conf.task_always_eager = True
    adding, failing = app.task(name="add", shared=False)(add), app.task(name="fail", shared=False)(fail)
    inside = InRequest()

    def work(see: See) -> None:
        see(adding.delay(1, 2).get())
        with see.error():
            failing.delay().get()

    def run(see: See) -> None:
        inside(see, work)
        told(see)

    yield run
    app.close()


@contextlib.contextmanager
def dramatiq() -> Iterator[Run]:
    import dramatiq
    from dramatiq.brokers.stub import StubBroker

    broker: Any = StubBroker()
    dramatiq.set_broker(broker)
    adding = dramatiq.actor(actor_name="add", max_retries=0)(add)
    failing = dramatiq.actor(actor_name="fail", max_retries=0)(fail)
    worker = dramatiq.Worker(broker, worker_timeout=5, worker_threads=1)
    worker.start()
    inside = InRequest()

    def work(see: See) -> None:
        adding.send(1, 2)
        failing.send()

    def run(see: See) -> None:
        inside(see, work)
        broker.join("default", fail_fast=False, timeout=5000)
        worker.join()
        told(see)

    yield run
    worker.stop()
    broker.close()


@contextlib.contextmanager
def huey() -> Iterator[Run]:
    import huey

    queue: Any = huey.MemoryHuey("shop")
    adding, failing = queue.task(name="add")(add), queue.task(name="fail")(fail)
    inside = InRequest()
    results: list[Any] = []

    def work(see: See) -> None:
        results[:] = [adding(1, 2), failing()]

    def run(see: See) -> None:
        inside(see, work)
        while (task := queue.dequeue()) is not None:
            queue.execute(task)
        see(results[0].get())
        with see.error():
            results[1].get()
        told(see)

    yield run


@contextlib.contextmanager
def rq() -> Iterator[Run]:
    import redis
    import rq
    import rq.worker

    connection: Any = redis.Redis()
    queue = rq.Queue(QUEUE, connection=connection)
    inside = InRequest()
    jobs: list[Any] = []

    def work(see: See) -> None:
        jobs[:] = [queue.enqueue(add, 1, 2), queue.enqueue(fail)]

    def run(see: See) -> None:
        inside(see, work)
        rq.SimpleWorker([queue], connection=connection).work(burst=True, logging_level="CRITICAL")
        for job in jobs:
            job.refresh()
            see(job.get_status(), job.return_value())
            job.delete()
        told(see)

    yield run
    connection.delete(*connection.scan_iter(f"rq:*{QUEUE}*", count=1000), f"rq:queue:{QUEUE}")
    connection.close()


@contextlib.contextmanager
def arq() -> Iterator[Run]:
    import arq.connections
    import arq.worker

    inside = InLoop()
    settings = arq.connections.RedisSettings(conn_retries=0)
    pool: Any = inside.do(arq.connections.create_pool(settings, default_queue_name=QUEUE))

    async def add_later(ctx: Any, a: int, b: int) -> int:
        return add(a, b)

    async def fail_later(ctx: Any) -> None:
        fail()

    jobs: list[Any] = []

    async def work(see: See) -> None:
        jobs[:] = [await pool.enqueue_job("add_later", 1, 2), await pool.enqueue_job("fail_later")]

    async def drain(see: See) -> None:
        worker = arq.worker.Worker(
            [add_later, fail_later], redis_pool=pool, queue_name=QUEUE, burst=True, poll_delay=0.001, handle_signals=False,
            keep_result=1, max_jobs=1,
        )  # fmt: skip
        await worker.main()
        see(await jobs[0].result(timeout=1, poll_delay=0.001))
        with see.error():
            await jobs[1].result(timeout=1, poll_delay=0.001)

    def run(see: See) -> None:
        inside(see, work)
        inside.do(drain(see))
        told(see)

    yield run

    async def end() -> None:
        await pool.delete(*[key async for key in pool.scan_iter(f"{QUEUE}*", count=1000)], QUEUE)
        await pool.aclose()

    inside.do(end())
    inside.close()


@contextlib.contextmanager
def apscheduler() -> Iterator[Run]:
    from apscheduler.schedulers.background import BackgroundScheduler

    def run(see: See) -> None:
        scheduler = BackgroundScheduler()
        results: list[object] = []
        both = threading.Event()

        def listener(event: Any) -> None:
            results.append(event.retval if event.exception is None else repr(event.exception))
            if len(results) == 2:
                both.set()

        scheduler.add_listener(listener, 2**12 | 2**13 | 2**14)
        scheduler.add_job(add, args=[1, 2], id="add")
        scheduler.add_job(fail, id="fail")
        scheduler.start()
        see(both.wait(5), sorted(map(str, results)))
        scheduler.shutdown()
        told(see)

    yield run


APPS = [
    App("celery", celery, ("celery.py",)),
    App("dramatiq", dramatiq, ("dramatiq.py",)),
    App("huey", huey, ("huey.py",), ("_jobs.py",)),
    App("rq", rq, ("rq.py",)),
    App("arq", arq, ("arq.py",)),
    App("apscheduler", apscheduler, ("apscheduler.py",)),
]
