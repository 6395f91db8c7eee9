"""The user's call happens exactly once, and comes back as it is, whatever a probe does."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import pickle
import traceback
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from brakit import guard
from brakit.guard import Call, Failures, Raised

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Probe = Callable[[Call], Generator[None, Any, Any]]


class Switch:
    """As much of a client as the guard looks at."""

    def __init__(self) -> None:
        self.open = True
        self.failures = Failures()


class Once:
    """A function that counts its calls."""

    def __init__(self, result: object = None, error: BaseException | None = None) -> None:
        self.calls: list[tuple[Any, Any]] = []
        self.result = result
        self.error = error

    def plain(self, *args: Any, **kwargs: Any) -> object:
        self.calls.append((args, kwargs))
        if self.error is not None:
            raise self.error
        return self.result

    async def coroutine(self, *args: Any, **kwargs: Any) -> object:
        await asyncio.sleep(0)
        return self.plain(*args, **kwargs)


def good(call: Call) -> Generator[None, Any, None]:
    try:
        yield
    except Raised:
        pass


def before(call: Call) -> Generator[None, Any, None]:
    raise RuntimeError("before")
    yield


def after(call: Call) -> Generator[None, Any, None]:
    try:
        yield
    finally:
        raise RuntimeError("after")


def careless(call: Call) -> Generator[None, Any, None]:
    yield


def never(call: Call) -> Generator[None, Any, None]:
    return
    yield


def twice(call: Call) -> Generator[None, Any, None]:
    try:
        yield
    except Raised:
        pass
    yield


def no_generator(call: Call) -> Any:
    return None


def eager(call: Call) -> Generator[None, Any, None]:
    call.replace("nobody knows it", 1)
    yield


PROBES = [good, before, after, careless, never, twice, no_generator, eager]
ERRORS = [ValueError("theirs"), KeyboardInterrupt(), SystemExit(3), GeneratorExit(), asyncio.CancelledError(), StopIteration(1)]
WAYS = ["plain", "coroutine"]


def run(client: Switch, once: Once, way: str, probe: Probe, *args: Any, **kwargs: Any) -> Any:
    wrapped = guard.bracket(client, "a place", getattr(once, way), probe)  # type: ignore[arg-type]
    if way == "plain":
        return wrapped(*args, **kwargs)
    # Driven by hand: an event loop has ideas of its own about KeyboardInterrupt.
    coroutine = wrapped(*args, **kwargs)
    while True:
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("probe", PROBES)
def test_the_call_happens_once_and_its_result_is_the_same_object(probe: Probe, way: str) -> None:
    client, once = Switch(), Once(result=object())
    assert run(client, once, way, probe, 1, b=2) is once.result
    assert once.calls == [((1,), {"b": 2})]
    assert sum(client.failures.counts.values()) == (0 if probe in (good, careless, never) else 1)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_the_call_happens_once_and_its_exception_is_the_same_object(error: BaseException, probe: Probe, way: str) -> None:
    if way == "coroutine" and isinstance(error, StopIteration):
        # A coroutine cannot raise one, with us or without.
        return
    error.__traceback__ = None
    client, once = Switch(), Once(error=error)
    with pytest.raises(type(error)) as caught:
        run(client, once, way, probe)
    assert caught.value is error
    assert len(once.calls) == 1
    assert error.__context__ is None
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == guard.__file__]
    assert len(ours) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_closed_client_lets_everything_through(way: str) -> None:
    client, once = Switch(), Once(result=1)
    client.open = False
    assert run(client, once, way, before) == 1
    assert client.failures.counts == {}


def test_what_a_probe_returns_takes_the_place_of_the_result() -> None:
    def instead(call: Call) -> Generator[None, Any, str]:
        result = yield
        return f"<{result}>"

    assert run(Switch(), Once(result="x"), "plain", instead) == "<x>"


def test_replaced_arguments_are_on_a_copy() -> None:
    def original(self: object, request: str, *, headers: object = None) -> tuple[str, object]:
        return request, headers

    def change(call: Call) -> Generator[None, Any, None]:
        call.replace("request", call.arg("request").upper())
        yield

    wrapped = guard.bracket(Switch(), "p", original, change)  # type: ignore[arg-type]
    arguments = {"request": "get"}
    assert wrapped(None, "get") == ("GET", None)
    assert wrapped(None, **arguments, headers=1) == ("GET", 1)
    assert arguments == {"request": "get"}


def test_an_argument_is_found_however_it_was_passed() -> None:
    found: list[object] = []

    def original(a: int, b: int = 2, *rest: int, c: int = 3, **more: int) -> None: ...

    def look(call: Call) -> Generator[None, Any, None]:
        found.append([call.arg(name, "no") for name in ("a", "b", "c", "d", "rest")])
        yield

    wrapped = guard.bracket(Switch(), "p", original, look)  # type: ignore[arg-type]
    wrapped(1)
    wrapped(1, 5, 6, c=7, d=8)
    wrapped(b=1, a=2)
    assert found == [[1, "no", "no", "no", "no"], [1, 5, 7, 8, "no"], [2, 1, "no", "no", "no"]]


async def test_cancelling_comes_through_at_once() -> None:
    client, seen = Switch(), []

    async def slow() -> None:
        await asyncio.sleep(60)

    def probe(call: Call) -> Generator[None, Any, None]:
        try:
            yield
        except Raised as raised:
            seen.append(type(raised.error))

    wrapped = guard.bracket(client, "p", slow, probe)  # type: ignore[arg-type]
    for _ in range(100):
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wrapped(), 0.001)
    assert seen == [asyncio.CancelledError] * 100


async def test_a_coroutine_that_is_closed_gets_its_generator_exit() -> None:
    seen = []

    async def forever() -> None:
        try:
            await asyncio.sleep(60)
        except GeneratorExit:
            seen.append("closed")
            raise

    coroutine = guard.bracket(Switch(), "p", forever, good)()  # type: ignore[arg-type]
    coroutine.send(None)
    coroutine.close()
    assert seen == ["closed"]


def sample(a: int, /, b: str = "x", *rest: int, c: float = 1.0, **more: object) -> list[int]:
    """Says what it does."""
    return [a]


async def async_sample(a: int, b: str = "x") -> list[int]:
    """Says what it does."""
    return [a]


@pytest.mark.parametrize("original", [sample, async_sample])
def test_a_wrapped_function_looks_like_the_original(original: Callable[..., Any]) -> None:
    wrapped = guard.bracket(Switch(), "p", original, good)  # type: ignore[arg-type]
    assert inspect.signature(wrapped) == inspect.signature(original)
    assert inspect.iscoroutinefunction(wrapped) == inspect.iscoroutinefunction(original)
    assert asyncio.iscoroutinefunction(wrapped) == asyncio.iscoroutinefunction(original)
    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        assert getattr(wrapped, name) == getattr(original, name)
    assert inspect.get_annotations(wrapped) == inspect.get_annotations(original)
    assert inspect.unwrap(wrapped) is original


def test_a_wrapped_function_in_its_place_is_pickled_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import brakit.callsite

    original = brakit.callsite.is_own
    wrapped = guard.bracket(Switch(), "p", original, good)  # type: ignore[arg-type]
    monkeypatch.setattr(brakit.callsite, "is_own", wrapped)
    assert pickle.loads(pickle.dumps(brakit.callsite.is_own)) is wrapped


def test_attributes_and_partials_are_kept() -> None:
    def original() -> int:
        return 1

    original.mark = "theirs"  # type: ignore[attr-defined]
    wrapped = guard.bracket(Switch(), "p", original, good)  # type: ignore[arg-type]
    assert wrapped.mark == "theirs"  # type: ignore[attr-defined]
    partial = functools.partial(sample, 1)
    assert guard.bracket(Switch(), "p", partial, good)() == [1]  # type: ignore[arg-type]


def test_nothing_keeps_the_exception_or_its_frames_alive() -> None:
    class Theirs(Exception):
        pass

    class Local:
        pass

    def fails() -> None:
        local = Local()
        alive.append(weakref.ref(local))
        error = Theirs()
        alive.append(weakref.ref(error))
        raise error

    alive: list[weakref.ref[Any]] = []
    for probe in (good, before, after, careless, twice):
        wrapped = guard.bracket(Switch(), "p", fails, probe)  # type: ignore[arg-type]
        try:
            wrapped()
        except Theirs:
            pass
        gc.collect()
    assert [ref() for ref in alive] == [None] * len(alive)


def test_failures_are_bounded_and_keep_text_only() -> None:
    failures = Failures()
    for number in range(1000):
        failures.add(f"place {number}", ValueError("x" * 10_000))
    assert len(failures.counts) <= Failures.MAX_PLACES + 1
    assert sum(failures.counts.values()) == 1000
    assert max(map(len, failures.first.values())) < 1000


class Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


def test_an_exception_without_text_is_counted() -> None:
    def fails() -> None:
        raise Hostile

    failures = Failures()
    assert guard.run(failures, "p", fails) is None
    assert "Hostile: <no text>" in failures.first["p"]
    assert guard.text_of(Hostile(), 10) == "<Hostile>"


def test_what_is_no_error_of_ours_is_not_swallowed() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guard.run(Failures(), "p", interrupted)


class Target:
    """Has methods of every form of parameter."""

    def method(self, a: int, b: int = 2, *rest: int, c: int = 3, d: int, **more: int) -> tuple[Any, ...]:
        return self, a, b, rest, c, d, more


def test_around_passes_every_argument_on_once() -> None:
    seen: list[object] = []

    def start(self: Target, *args: Any, **kwargs: Any) -> int:
        seen.append((args, kwargs))
        return 7

    def end(state: int, self: Target, result: Any) -> None:
        seen.append((state, result))

    wrapped = guard.around(Switch(), "p", Target.method, start, end)  # type: ignore[arg-type]
    target = Target()
    assert wrapped(target, 1, d=4) == (target, 1, 2, (), 3, 4, {})
    assert wrapped(target, 1, 5, 6, c=7, d=8, e=9) == (target, 1, 5, (6,), 7, 8, {"e": 9})
    assert seen[1] == (7, (target, 1, 2, (), 3, 4, {}))
    assert inspect.signature(wrapped) == inspect.signature(Target.method)
    with pytest.raises(TypeError):
        wrapped(target)


@pytest.mark.parametrize("where", ["before", "after", "failed", "nowhere"])
@pytest.mark.parametrize("error", [None, *ERRORS[:5]], ids=lambda error: type(error).__name__)
def test_around_calls_once_and_keeps_what_comes_back(where: str, error: BaseException | None) -> None:
    client, once = Switch(), Once(result=object(), error=error)

    def fail(place: str) -> Callable[..., Any]:
        def hook(*args: Any) -> Any:
            if where == place:
                raise RuntimeError("ours")
            return 1 if place == "before" else None

        return hook

    def method(self: object, value: int) -> object:
        return once.plain(value)

    wrapped = guard.around(client, "p", method, fail("before"), fail("after"), fail("failed"))  # type: ignore[arg-type]
    if error is None:
        assert wrapped(None, 1) is once.result
    else:
        error.__traceback__ = None
        with pytest.raises(type(error)) as caught:
            wrapped(None, 1)
        assert caught.value is error
        assert error.__context__ is None
    assert len(once.calls) == 1


async def test_around_a_coroutine_function_is_one() -> None:
    seen: list[object] = []

    async def method(self: object, value: int, *, by: int = 2) -> int:
        await asyncio.sleep(0)
        return value // by

    wrapped = guard.around(
        Switch(),  # type: ignore[arg-type]
        "p",
        method,
        lambda *args, **kwargs: (args, kwargs),
        lambda state, _, result: seen.append((state, result)),
        lambda state, _, error: seen.append((state, type(error))),
    )
    assert inspect.iscoroutinefunction(wrapped)
    assert await wrapped(None, 6) == 3
    with pytest.raises(ZeroDivisionError):
        await wrapped(None, 6, by=0)
    assert seen == [(((None, 6), {"by": 2}), 3), (((None, 6), {"by": 0}), ZeroDivisionError)]


def test_around_asks_only_where_it_is_of_interest_and_hands_over_as_much_as_is_wanted() -> None:
    seen: list[object] = []
    client = Switch()
    wrapped = guard.around(
        client,  # type: ignore[arg-type]
        "p",
        Target.method,
        lambda *args, **kwargs: seen.append((args, kwargs)),
        takes=2,
        interest="{self}.open and a > 1",
    )
    target = Target()
    for a in (1, 2):
        assert wrapped(target, a, d=4) == (target, a, 2, (), 3, 4, {})
    target.__dict__["open"] = True
    for a in (1, 2):
        assert wrapped(target, a, d=4) == (target, a, 2, (), 3, 4, {})
    assert seen == [((target, 2), {})]
    # What it asks of the object may be missing: a failure of ours, and the call goes on.
    assert client.failures.counts == {"p": 2}


@pytest.mark.parametrize(("made", "passed"), [("other", "other"), (None, "given"), (ValueError("ours"), "given")])
def test_around_puts_another_value_in_the_place_of_an_argument(made: Any, passed: str) -> None:
    once, client = Once(result="result"), Switch()

    def method(self: object, request: str, more: int = 1) -> object:
        return once.plain(request, more)

    def before(_: object, request: str) -> Any:
        assert request == "given"
        if isinstance(made, Exception):
            raise made
        return made

    wrapped = guard.around(client, "p", method, before, takes=2, instead="request")  # type: ignore[arg-type]
    assert wrapped(None, "given") == "result"
    assert wrapped(None, request="given", more=2) == "result"
    assert once.calls == [((passed, 1), {}), ((passed, 2), {})]
    assert client.failures.counts == ({"p": 2} if isinstance(made, Exception) else {})


WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "anything": lambda original: functools.wraps(original)(lambda *args, **kwargs: original(*args, **kwargs)),
    "self and anything": lambda original: functools.wraps(original)(
        lambda self, *args, **kwargs: original(self, *args, **kwargs)
    ),
    "self and names": lambda original: functools.wraps(original)(lambda self, **kwargs: original(self, **kwargs)),
    "positions": lambda original: functools.wraps(original)(lambda *args: original(*args)),
}


@pytest.mark.parametrize("instead", ["", "request"])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_around_what_somebody_has_wrapped_with_something_that_takes_anything(wrapper: str, instead: str) -> None:
    once, client, seen = Once(result="result"), Switch(), []

    def method(self: object, request: str, more: int = 1) -> object:
        return once.plain(request, more)

    def before(*given: object) -> str:
        seen.append(given)
        return "other"

    wrapped = guard.around(client, "p", WRAPPERS[wrapper](method), before, takes=2, instead=instead)  # type: ignore[arg-type]
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [((None,), {"request": "given", "more": 2}), ((None, "given", 2), {})]
    calls = [
        call for call in calls if not (wrapper == "positions" and call[1]) and not (wrapper == "self and names" and not call[1])
    ]
    for args, kwargs in calls:
        assert wrapped(*args, **kwargs) == "result"
    assert once.calls == [(("other" if instead else "given", 2), {})] * len(calls)
    assert seen == [(None, "given")] * len(calls)
    assert client.failures.counts == {}


def test_safe_is_run_for_what_is_called_again_and_again() -> None:
    failures = Failures()

    def divide(a: int, b: int = 2, *, by: int = 1) -> float:
        return a / b / by

    safe = guard.safe(failures, "p", divide)
    assert safe(8) == 4
    assert safe(8, by=2, b=1) == 4
    assert safe(8, 0) is None
    assert failures.counts == {"p": 1}
    assert failures.first["p"].startswith("ZeroDivisionError: ")

    def stops() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guard.safe(failures, "p", stops)()
