"""asyncio, and uvloop in its place: errors that nobody awaits."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


@pytest.fixture(params=[asyncio.SelectorEventLoop, uvloop.Loop])
def loop(client: Client, request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    made: asyncio.AbstractEventLoop = request.param()
    yield made
    made.close()


async def fail(error: BaseException) -> None:
    raise error


async def forget(error: BaseException, owner: context.Owner | None) -> None:
    """A request that starts a task and never looks at it."""
    context.enter(owner)
    task = asyncio.ensure_future(fail(error))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    context.enter(None)
    del task
    gc.collect()


def test_the_error_of_a_task_belongs_to_the_request_that_made_it(events: Events, loop: asyncio.AbstractEventLoop) -> None:
    owner, _, _ = context.request_owner(None, None)
    loop.run_until_complete(forget(LookupError("gone"), owner))
    error, log = events()
    data = error["data"]
    assert (log["data"]["logger"], log["parentId"]) == ("asyncio", owner.id)
    assert (data["name"], data["message"], data["mechanism"], data["handled"]) == ("LookupError", "gone", "asyncio", False)
    assert (error["parentId"], data["callsite"]["function"]) == (owner.id, "fail")


def test_outside_of_a_request_it_has_no_owner(events: Events, loop: asyncio.AbstractEventLoop) -> None:
    loop.run_until_complete(forget(LookupError("gone"), None))
    [error] = events("error")
    assert "parentId" not in error


def test_the_app_s_handler_gets_the_same_exception(events: Events, loop: asyncio.AbstractEventLoop) -> None:
    reports: list[Json] = []
    loop.set_exception_handler(lambda _, report: reports.append(report))
    error = LookupError("gone")
    loop.run_until_complete(forget(error, None))
    [report] = reports
    assert report["exception"] is error
    assert (len(events("error")), report["message"]) == (1, "Task exception was never retrieved")
    assert context.current() is None


def test_an_error_in_a_callback(events: Events, loop: asyncio.AbstractEventLoop, caplog: pytest.LogCaptureFixture) -> None:
    owner, _, _ = context.request_owner(None, None)

    def callback() -> None:
        raise LookupError("late")

    async def main() -> None:
        context.enter(owner)
        asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0)

    loop.run_until_complete(main())
    [log, error] = sorted(events(), key=lambda event: event["type"], reverse=True)
    assert (error["data"]["message"], log["data"]["logger"]) == ("late", "asyncio")
    assert log["data"]["exception"]["message"] == "late"
    if isinstance(loop, asyncio.SelectorEventLoop):
        assert error["parentId"] == owner.id
    assert [record.levelno for record in caplog.records if record.name == "asyncio"] == [logging.ERROR]


def test_an_awaited_error_is_the_app_s(events: Events, loop: asyncio.AbstractEventLoop) -> None:
    error = LookupError("mine")

    async def main() -> None:
        await asyncio.ensure_future(fail(error))

    with pytest.raises(LookupError) as raised:
        loop.run_until_complete(main())
    assert (raised.value, events("error")) == (error, [])


def test_a_report_without_an_exception_is_a_log_only(events: Events, loop: asyncio.AbstractEventLoop) -> None:
    loop.call_exception_handler({"message": "something is odd"})
    assert [(event["type"], event["data"]["message"]) for event in events()] == [("log", "something is odd")]


def test_many_that_fail_alike_are_each_recorded(events: Events, loop: asyncio.AbstractEventLoop) -> None:
    owner, _, _ = context.request_owner(None, None)

    async def main() -> None:
        for _ in range(5):
            await forget(LookupError("again"), owner)

    loop.run_until_complete(main())
    assert [error["parentId"] for error in events("error")] == [owner.id] * 5


CODE = """
import asyncio
async def fail():
    raise LookupError("gone")
async def main():
    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0.01)
    del task
asyncio.run(main())
"""


def test_the_output_is_as_without_us(py: Any, sink: Any) -> None:
    ran = py("import brakit" + CODE, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    plain = py("import os" + CODE)
    assert ran.rc == plain.rc == 0
    assert ran.stderr.replace("app0", "app1") == plain.stderr
    assert [event["data"]["mechanism"] for event in sink.of("error")] == ["asyncio"]


@pytest.mark.parametrize("kind", [asyncio.BaseEventLoop, uvloop.Loop])
def test_the_originals_are_put_back(client: Client, kind: Any) -> None:
    ours = {
        name: vars(kind)[name]
        for name in ("call_exception_handler", "create_task")
        if hasattr(vars(kind).get(name), "__wrapped__")
    }
    assert "call_exception_handler" in ours
    client.shutdown(0)
    for name, method in ours.items():
        assert getattr(kind, name) is method.__wrapped__


def test_the_line_that_logs_is_the_same(events: Events, loop: asyncio.AbstractEventLoop) -> None:
    loop.run_until_complete(forget(LookupError("gone"), None))
    [log] = [event["data"] for event in events() if event["type"] == "log"]
    assert "brakit" not in log["callsite"]["file"].replace("sdk/tests", "")
