"""`logger.exception` outside of requests: in threads, in tasks, in the program itself, and what has been sent by then."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from brakit import context, errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Events = Callable[..., list[dict[str, Any]]]

log = logging.getLogger("tests.logged")


class Nowhere:
    """What structlog writes to."""

    def exception(self, **fields: Any) -> None:
        return


def fail(text: str = "no such shelf") -> None:
    raise LookupError(text)


def test_outside_of_requests_each_is_told_at_once(client: Client, events: Events) -> None:
    for _ in range(3):
        try:
            fail("all alike")
        except LookupError:
            log.exception("it failed")
        [error] = events("error")
        assert (error["data"]["handled"], "parentId" in error) == (True, False)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_logs_and_dies(client: Client, events: Events) -> None:
    def work() -> None:
        try:
            fail()
        except LookupError:
            log.exception("it failed")
            raise

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    found = events()
    [error] = [event for event in found if event["type"] == "error"]
    [logged] = [event for event in found if event["type"] == "log"]
    assert (error["data"]["handled"], error["data"]["mechanism"]) == (False, "thread")
    assert logged["data"]["errorId"] == error["id"]


def test_a_program_that_logs_and_ends(py: Any, sink: Any) -> None:
    code = (
        "import brakit, logging\n"
        "try:\n    raise LookupError('no such shelf')\n"
        "except LookupError:\n    logging.exception('it failed')\n    raise\n"
    )
    ran = py(code, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    assert ran.rc == 1
    [error] = sink.of("error")
    [logged] = sink.of("log")
    assert (error["data"]["handled"], error["data"]["mechanism"]) == (False, "main")
    assert logged["data"]["errorId"] == error["id"]


def test_what_has_been_sent_is_told_again(client: Client, events: Events) -> None:
    try:
        fail()
    except LookupError as error:
        log.exception("it failed")
        [first] = events("error")
        errors.capture(client, error, "main")
    [second] = events("error")
    assert (first["data"]["handled"], second["data"]["handled"]) == (True, False)
    assert first["id"] != second["id"]


async def test_a_task_that_logs_and_fails(client: Client, events: Events) -> None:
    owner, _, _ = context.request_owner(None, None)

    async def work() -> None:
        try:
            fail()
        except LookupError:
            log.exception("it failed")
            raise

    before = context.enter(owner)
    task = asyncio.ensure_future(work())
    context.enter(before)
    await asyncio.wait([task])
    asyncio.get_running_loop().call_exception_handler({"message": "lost", "task": task, "exception": task.exception()})
    found = events()
    [error] = [event for event in found if event["type"] == "error"]
    assert (error["data"]["handled"], error["data"]["mechanism"], error["parentId"]) == (False, "asyncio", owner.id)
    assert {event["data"]["errorId"] for event in found if event["type"] == "log"} == {error["id"]}


def test_nothing_of_the_app_lives_on(client: Client) -> None:
    class Large:
        """Somebody's local variable."""

    # In no hierarchy: the handlers of pytest keep all that they get.
    unheard = logging.Logger("tests.unheard")
    unheard.addHandler(logging.NullHandler())
    alone = structlog.wrap_logger(Nowhere(), [], structlog.BoundLogger)
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)

    def work() -> weakref.ref[Large]:
        local = Large()
        try:
            fail()
        except LookupError:
            alone.exception("it failed", exc_info=True)
            unheard.exception("it failed")
        return weakref.ref(local)

    reference = work()
    gc.collect()
    assert reference() is None
    context.enter(before)
