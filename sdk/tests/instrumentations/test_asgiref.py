"""`asgiref.py`: what is handed to a thread keeps the line that waits for it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import asgiref.sync
import pytest

from brakit import callsite

if TYPE_CHECKING:
    from brakit.client import Client

HERE = sys._getframe().f_code.co_filename


def deep(result: list[Any]) -> None:
    """Stands for a library: the search begins above it, where nothing but the thread's own frames is."""
    result.append(callsite.find(sys._getframe(1)))


async def test_the_line_that_waits_is_found(client: Client) -> None:
    found: list[Any] = []
    line = sys._getframe().f_lineno + 1
    await asgiref.sync.sync_to_async(deep)(found)
    code, number = found[0]
    assert (code.co_name, code.co_filename, number) == ("test_the_line_that_waits_is_found", HERE, line)
    assert callsite.handed.get() is None


def test_a_thread_that_lends_a_hand_is_not_the_cause(client: Client) -> None:
    found: list[Any] = []

    async def inner() -> None:
        await asgiref.sync.sync_to_async(deep)(found)

    # The work comes back to this very thread, whose frames below have not led to it.
    asgiref.sync.async_to_sync(inner)()
    assert found[0][0] is inner.__code__


async def test_own_code_in_the_thread_comes_first(client: Client) -> None:
    found: list[Any] = []

    def work() -> None:
        deep(found)

    await asyncio.gather(*[asgiref.sync.sync_to_async(work)() for _ in range(3)])
    assert {code for code, _ in found} == {work.__code__}


async def test_results_and_failures_are_the_very_same(client: Client) -> None:
    error, result = ValueError("same"), object()

    def fail() -> None:
        raise error

    assert await asgiref.sync.sync_to_async(lambda: result)() is result
    with pytest.raises(ValueError, match="same") as caught:
        await asgiref.sync.sync_to_async(fail)()
    assert caught.value is error
    assert callsite.handed.get() is None


def test_the_original_comes_back(client: Client) -> None:
    wrapped = asgiref.sync.SyncToAsync.__dict__["__call__"]
    assert wrapped.__wrapped__.__qualname__ == "SyncToAsync.__call__"
    client.shutdown(0.0)
    assert asgiref.sync.SyncToAsync.__dict__["__call__"] is wrapped.__wrapped__
