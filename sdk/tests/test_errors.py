"""Exceptions as records: text and lines, nothing of the app's kept alive or asked."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from brakit import context, errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_an_exception_with_its_frames_and_source(client: Client, events: Callable[..., list[Json]]) -> None:
    errors.capture(client, raised(ValueError("too bad")), "main")
    [event] = events("error")
    data = event["data"]
    assert (data["name"], data["message"], data["handled"], data["mechanism"]) == ("ValueError", "too bad", False, "main")
    assert data["stack"].startswith("Traceback (most recent call last):\n")
    assert data["stack"].endswith("ValueError: too bad")
    frame = data["frames"][-1]
    assert frame["own"]
    assert frame["function"] == "raised"
    assert frame["code"][frame["line"] - frame["codeStart"]].strip() == "raise error"
    assert data["callsite"] == {key: frame[key] for key in ("file", "line", "function")}
    assert data["callsite"]["file"] == "sdk/tests/test_errors.py"


def test_causes_nearest_first(client: Client, events: Callable[..., list[Json]]) -> None:
    try:
        try:
            raise KeyError("inner")
        except KeyError as inner:
            raise ValueError("middle") from inner
    except ValueError:
        try:
            raise RuntimeError("outer")
        except RuntimeError as error:
            errors.capture(client, error, "main")
    [event] = events("error")
    assert [cause["name"] for cause in event["data"]["causes"]] == ["ValueError", "KeyError"]
    stack = event["data"]["stack"]
    assert stack.index("inner") < stack.index("middle") < stack.index("outer")


def test_a_suppressed_context_is_no_cause() -> None:
    error = ValueError()
    error.__context__ = KeyError()
    assert [cause["name"] for cause in errors.causes_of(error)] == ["KeyError"]
    error.__suppress_context__ = True
    assert errors.causes_of(error) == []


def test_cycles_end() -> None:
    error = ValueError("x")
    error.__cause__ = error
    assert errors.causes_of(error) == []
    first, second = ValueError(1), ValueError(2)
    first.__cause__, second.__cause__ = second, first
    assert len(errors.causes_of(first)) == 1


def test_a_long_chain_is_cut() -> None:
    error: BaseException = ValueError(0)
    for number in range(1000):
        following = ValueError(number)
        following.__cause__ = error
        error = following
    assert len(errors.causes_of(error)) == errors.MAX_CAUSES


class Foreign:
    def __repr__(self) -> str:
        raise AssertionError("was asked")

    __str__ = __repr__


@pytest.mark.parametrize("kind", [ValueError, KeyError, Exception, OSError, AssertionError])
def test_what_an_exception_carries_is_not_asked_for_its_text(kind: type[Exception]) -> None:
    assert errors.message_of(kind(Foreign(), "plain")) == "<Foreign>, plain"


def test_an_exception_with_a_message_of_its_own_is_asked_and_may_fail() -> None:
    class Own(Exception):
        def __str__(self) -> str:
            return "mine"

    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert errors.message_of(Own(Foreign())) == "mine"
    assert errors.message_of(Broken()) == "<Broken>"
    assert errors.text_of(ValueError()) == "ValueError"
    assert errors.text_of(ValueError("x")) == "ValueError: x"


def test_a_huge_text_is_cut(client: Client, events: Callable[..., list[Json]]) -> None:
    errors.capture(client, raised(ValueError("x" * 10_000_000)), "main")
    [event] = events()
    assert len(event["data"]["message"]) <= errors.MAX_MESSAGE + 1


def test_one_exception_that_passes_two_probes_of_a_request_is_recorded_once(
    client: Client, events: Callable[..., list[Json]]
) -> None:
    context.enter(context.request_owner(None, None)[0])
    try:
        error = raised(ValueError("once"))
        errors.capture(client, error, "starlette")
        errors.capture(client, error, "uvicorn")
        errors.capture(client, raised(ValueError("another")), "starlette")
    finally:
        context.enter(None)
    assert [event["data"]["message"] for event in events("error")] == ["once", "another"]


def test_each_thread_that_dies_is_recorded(client: Client, events: Callable[..., list[Json]], monkeypatch: Any) -> None:
    # Whatever pytest has put there keeps quiet.
    client.patches.restore()
    monkeypatch.setattr(threading, "excepthook", lambda args: None)
    client.patches.arm()

    def dies() -> None:
        raise ValueError("dead")

    for _ in range(5):
        thread = threading.Thread(target=dies)
        thread.start()
        thread.join()
    found = events("error")
    assert [event["data"]["mechanism"] for event in found] == ["thread"] * 5
    client.patches.restore()


def test_nothing_of_the_app_lives_on(client: Client) -> None:
    class Theirs(Exception):
        pass

    class Local:
        pass

    def fails() -> None:
        local = Local()
        alive.append(weakref.ref(local))
        raise Theirs("x")

    alive: list[weakref.ref[Any]] = []
    context.enter(context.request_owner(None, None)[0])
    try:
        try:
            fails()
        except Theirs as error:
            alive.append(weakref.ref(error))
            errors.capture(client, error, "main")
    finally:
        context.enter(None)
    gc.collect()
    assert [ref() for ref in alive] == [None, None]
    assert len(client.buffer.records) == 1
