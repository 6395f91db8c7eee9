"""concurrent.futures: work in a pool belongs to who handed it over."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Events = Callable[..., list[dict[str, Any]]]

log = logging.getLogger("tests.concurrent")


def test_work_belongs_to_who_handed_it_over(client: Client, events: Events) -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> int:
        log.warning("%d", number)
        return number

    def request(number: int) -> str:
        owner, _, _ = context.request_owner(None, None)
        before = context.enter(owner)
        barrier.wait(10)
        futures = [pool.submit(work, number) for _ in range(20)]
        assert [future.result(10) for future in futures] == [number] * 20
        context.enter(before)
        return owner.id

    with ThreadPoolExecutor(3) as pool, ThreadPoolExecutor(4) as requests:
        owners = dict(enumerate([requests.submit(request, number) for number in range(4)]))
        ids = {str(number): future.result(20) for number, future in owners.items()}
        assert pool.submit(context.current).result(10) is None
    logs = events("log")
    assert len(logs) == 80
    assert [event for event in logs if event["parentId"] != ids[event["data"]["message"]]] == []


async def test_run_in_executor(client: Client, events: Events) -> None:
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    await asyncio.get_running_loop().run_in_executor(None, log.warning, "here")
    context.enter(before)
    [event] = events()
    assert event["parentId"] == owner.id


def test_the_apps_own_context_variables_stay_behind(client: Client) -> None:
    variable = contextvars.ContextVar("tests_variable", default="default")
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    variable.set("of the caller")
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(variable.get).result(10) == "default"
        assert pool.submit(context.current).result(10) is owner
    context.enter(before)


def test_its_exception_is_its_own(client: Client) -> None:
    error = RuntimeError("in the pool")

    def work() -> None:
        raise error

    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError) as raised:
        pool.submit(work).result(10)
    context.enter(before)
    assert raised.value is error
