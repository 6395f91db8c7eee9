"""The innermost line of the app's own code."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import greenlet  # type: ignore[import-untyped]
import pytest
import uvloop

from brakit import callsite

if TYPE_CHECKING:
    from collections.abc import Callable


def code(source: str, filename: str, **names: object) -> dict[str, Any]:
    """Names that `source` defines, compiled as if it stood in that file."""
    namespace: dict[str, Any] = {"callsite": callsite, "sys": sys, **names}
    exec(compile(source, filename, "exec"), namespace)
    return namespace


def here() -> tuple[Any, int] | None:
    return callsite.find(sys._getframe(1))


LIBRARY = "/srv/venv/lib/python3.11/site-packages/orm/session.py"


def test_the_line_that_asked() -> None:
    found = here()
    assert found is not None
    assert found[0].co_name == "test_the_line_that_asked"
    assert found[1] == sys._getframe().f_lineno - 3


def test_through_a_library_to_the_apps_line() -> None:
    library = code("def run(function): return function()", LIBRARY)
    inner = code("def find(): return callsite.find(sys._getframe())", LIBRARY.replace("session", "inner"))
    found = library["run"](inner["find"])
    assert found[0].co_name == "test_through_a_library_to_the_apps_line"


def test_a_callback_of_the_app_inside_a_library_is_innermost() -> None:
    library = code("def run(function): return function()", LIBRARY)

    def callback() -> tuple[Any, int] | None:
        return here()

    found = library["run"](callback)
    assert found is not None
    assert found[0].co_name == "callback"


@pytest.mark.parametrize(
    "filename",
    [
        LIBRARY,
        "/usr/lib/python3/dist-packages/x.py",
        os.__file__,
        asyncio.__file__,
        callsite.__file__,
        "<string>",
        "<frozen importlib._bootstrap>",
        f"{sys.prefix}/bin/uvicorn",
    ],
)
def test_not_the_apps_own(filename: str) -> None:
    assert not callsite.is_own(filename)


@pytest.mark.parametrize("filename", ["/srv/shop/app.py", "relative/app.py", __file__, "/srv/site-packages-of-mine/app.py"])
def test_the_apps_own(filename: str) -> None:
    assert callsite.is_own(filename)


def test_a_working_folder_that_is_gone_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    assert callsite.is_own("some/where/else.py")


def test_a_new_file_is_judged_by_its_name_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes up on the app's thread: an event loop must not wait for a disk there."""

    asked: list[str] = []
    library = str(Path(os.__file__).parent / "new.py")
    with monkeypatch.context() as patched:
        for name in ("getcwd", "lstat", "readlink", "stat"):
            patched.setattr(os, name, lambda *args, name=name, **kwargs: asked.append(name))
        patched.setattr(os.path, "abspath", lambda path: asked.append("abspath"))
        names = ("/srv/new/../shop.py", "new/relative.py", library, "/srv/new/site-packages/library.py", "site-packages/new.py")
        found = [callsite.is_own(name) for name in names]
    assert found == [True, True, False, False, False]
    assert asked == []


@pytest.mark.parametrize("make", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_who_runs_the_loop_has_not_led_to_what_a_librarys_task_does(make: Callable[[], asyncio.AbstractEventLoop]) -> None:
    library: dict[str, Any] = {"find": callsite.find, "sys": sys}
    exec(compile("async def work():\n    return find(sys._getframe())\n", LIBRARY, "exec"), library)

    async def main() -> tuple[Any, Any]:
        awaited = await library["work"]()
        (gathered,) = await asyncio.gather(library["work"]())
        return awaited, gathered

    # As a server does it: no file of asyncio's lies in between.
    loop = make()
    awaited, gathered = loop.run_until_complete(main())
    loop.close()
    assert awaited[0].co_name == "main"
    assert gathered is None


async def test_a_plain_function_inside_a_task_is_the_line() -> None:
    library = code("def find(): return callsite.find(sys._getframe())\ndef steps(): yield find()", LIBRARY)

    def ask() -> list[Any]:
        return [library["find"](), *library["steps"]()]

    assert {found[0].co_name for found in ask()} == {"ask"}


def test_out_of_a_greenlet_to_the_line_that_switched_into_it() -> None:
    library = code("def find(): return callsite.find(sys._getframe())", LIBRARY)
    found = greenlet.greenlet(library["find"]).switch()
    assert found[0].co_name == "test_out_of_a_greenlet_to_the_line_that_switched_into_it"


def test_out_of_two_greenlets() -> None:
    library = code("def find(): return callsite.find(sys._getframe())\ndef run(make, f): return make(f).switch()", LIBRARY)
    inner: Callable[[], object] = library["find"]
    found: Any = greenlet.greenlet(lambda: library["run"](greenlet.greenlet, inner)).switch()
    assert found[0].co_name == "<lambda>"


def test_nothing_of_the_apps_is_none() -> None:
    library = code("def find(): return callsite.find(sys._getframe())", LIBRARY)
    found = callsite.find(None)
    assert found is None
    assert library["find"]() is not None


def test_a_deep_stack_ends_the_walk() -> None:
    library = code(
        "def down(n): return down(n - 1) if n else callsite.find(sys._getframe())",
        LIBRARY,
    )
    assert library["down"](callsite.MAX_DEPTH + 10) is None


def test_the_cache_of_files_is_bounded() -> None:
    for number in range(callsite.MAX_FILES + 100):
        callsite.is_own(f"/srv/generated/{number}.py")
    assert len(callsite._own) <= callsite.MAX_FILES


def test_frames_of_a_deep_traceback_are_its_head_and_tail() -> None:
    def down(n: int) -> None:
        if n:
            down(n - 1)
        else:
            raise EOFError

    def up() -> None:
        down(700)

    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + 1000)
    try:
        with pytest.raises(EOFError) as caught:
            up()
    finally:
        sys.setrecursionlimit(limit)
    frames = callsite.frames_of(caught.value.__traceback__)
    assert len(frames) == callsite.MAX_FRAMES
    assert [frame[0].co_name for frame in frames[:2]] == ["test_frames_of_a_deep_traceback_are_its_head_and_tail", "up"]
    assert frames[-1][1] == frames[-2][1] + 2
