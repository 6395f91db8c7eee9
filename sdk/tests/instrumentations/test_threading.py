"""threading: what ends a thread."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Events = Callable[..., list[dict[str, Any]]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_exception_that_ends_a_thread(client: Client, events: Events) -> None:
    def work() -> None:
        raise ValueError("in a thread")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    [event] = events()
    data = event["data"]
    assert (data["name"], data["message"], data["mechanism"], data["handled"]) == ("ValueError", "in a thread", "thread", False)
    assert data["callsite"]["function"].endswith("work")
    own = [frame for frame in data["frames"] if frame.get("own")]
    assert '        raise ValueError("in a thread")' in own[-1]["code"]
    assert own[-1]["code"][own[-1]["line"] - own[-1]["codeStart"]].strip() == 'raise ValueError("in a thread")'


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_exits_is_no_error(client: Client, events: Events) -> None:
    def work() -> None:
        raise SystemExit(3)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert events() == []


def test_the_hook_of_the_app_still_runs(py: Any, sink: Any) -> None:
    code = """import brakit, threading
before = threading.excepthook
threading.excepthook = lambda arguments: (print("mine", arguments.exc_type.__name__), before(arguments))
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
"""
    ran = py(code, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    assert ran.stdout == "mine ZeroDivisionError\n"
    assert "ZeroDivisionError: division by zero" in ran.stderr
    assert [event["data"]["mechanism"] for event in sink.events if event["type"] == "error"] == ["thread"]
