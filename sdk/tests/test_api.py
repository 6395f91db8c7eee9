"""The public functions: right when used, harmless when misused."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

import brakit
from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Events = Callable[..., list[dict[str, Any]]]

HERE = "sdk/tests/test_api.py"


class Hostile:
    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


def test_an_error_that_was_handled(client: Client, events: Events) -> None:
    try:
        raise ValueError("handled")
    except ValueError as error:
        brakit.capture_error(error)
        brakit.capture_error()
    found = events("error")
    assert [event["data"]["message"] for event in found] == ["handled", "handled"]
    assert all(event["data"]["handled"] for event in found)
    assert found[0]["data"]["mechanism"] == "capture_error"


def test_nothing_to_report_is_nothing(client: Client, events: Events) -> None:
    brakit.capture_error()
    brakit.capture_error("no exception")  # type: ignore[arg-type]
    brakit.capture_error(Hostile())  # type: ignore[arg-type]
    brakit.capture_error(ValueError)  # type: ignore[arg-type]
    assert events() == []


def test_an_auth_check(client: Client, events: Events) -> None:
    brakit.auth_check("session", "allowed", subject_kind="user", checked="orders:read")
    line = sys._getframe().f_lineno - 1
    [event] = events()
    assert event["type"] == "auth.check"
    assert event["data"] == {
        "provider": "session",
        "result": "allowed",
        "subjectKind": "user",
        "checked": "orders:read",
        "callsite": {"file": HERE, "line": line, "function": event["data"]["callsite"]["function"]},
    }


def test_an_auth_check_with_nonsense_is_still_one(client: Client, events: Events) -> None:
    brakit.auth_check(Hostile(), Hostile(), subject_kind=b"\xff", checked=5)  # type: ignore[arg-type]
    [event] = events()
    assert event["data"]["provider"] == "<Hostile>"


def test_a_span_owns_what_happens_inside(client: Client, events: Events) -> None:
    owner = context.request_owner(None, None)[0]
    context.enter(owner)
    try:
        with brakit.span("outer", pages=3, weight=1.5):
            with brakit.span("inner"):
                brakit.auth_check("session")
            assert context.current() is not owner
        assert context.current() is owner
    finally:
        context.enter(None)
    check, inner, outer = events()
    assert check["parentId"] == inner["data"]["spanId"]
    assert inner["parentId"] == outer["data"]["spanId"]
    assert outer["parentId"] == owner.id
    assert {check["ownerId"], inner["ownerId"]} == {owner.id}
    assert outer["data"]["attributes"] == {"pages": "3", "weight": "1.5"}
    assert outer["data"]["duration"] >= inner["data"]["duration"] >= 0
    assert outer["data"]["callsite"]["file"] == HERE


def test_a_span_that_ends_with_an_error_says_so_and_lets_it_through(client: Client, events: Events) -> None:
    error = ValueError("inside")
    with pytest.raises(ValueError, match="inside") as caught, brakit.span("fails"):
        raise error
    assert caught.value is error
    assert context.current() is None
    assert events()[0]["data"]["error"] == "ValueError: inside"


async def test_a_span_in_async_code(client: Client, events: Events) -> None:
    async def work(name: str) -> None:
        async with brakit.span(name):
            await asyncio.sleep(0.001)
            brakit.auth_check(name)

    await asyncio.gather(*(work(f"w{n}") for n in range(20)))
    found = events()
    spans = {event["data"]["name"]: event["data"]["spanId"] for event in found if event["type"] == "span"}
    checks = [event for event in found if event["type"] == "auth.check"]
    assert len(spans) == len(checks) == 20
    assert all(check["parentId"] == spans[check["data"]["provider"]] for check in checks)
    assert all(check["data"]["callsite"]["file"] == HERE for check in checks)


def test_a_span_with_nonsense_runs_its_block_once(client: Client, events: Events) -> None:
    ran = []
    with brakit.span(Hostile(), thing=Hostile(), text="x" * 10_000):  # type: ignore[arg-type]
        ran.append(1)
    assert ran == [1]
    [event] = events()
    assert event["data"]["name"] == "<Hostile>"
    assert event["data"]["attributes"]["thing"] == "<Hostile>"


def test_a_span_is_used_again(client: Client, events: Events) -> None:
    span = brakit.span("again")
    for _ in range(3):
        with span:
            pass
    assert len({event["data"]["spanId"] for event in events()}) == 3


@pytest.mark.failures
def test_a_failure_of_ours_costs_the_span_and_not_the_block(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "span_owner", lambda: 1 / 0)
    ran = []
    with brakit.span("x"):
        ran.append(1)
    assert ran == [1]
    assert client.failures.counts == {"span": 1}


def test_a_shutdown_inside_a_span(client: Client) -> None:
    with brakit.span("x"):
        brakit.shutdown(0)
    assert context.current() is None
    assert brakit.flush() is True


def test_switched_off_every_function_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brakit.client, "_client", None)
    with brakit.span("x", a=1):
        brakit.auth_check("session")
    brakit.capture_error(ValueError())
    assert brakit.flush() is True
    brakit.shutdown()
    assert context.current() is None
