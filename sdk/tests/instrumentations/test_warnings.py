"""warnings, shown as without us and recorded once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

CODE = """
import warnings
def old():
    warnings.warn("use new() instead, password=hunter2", DeprecationWarning, stacklevel=2)
def caller():
    old()
for _ in range(3):
    caller()
warnings.simplefilter("ignore")
warnings.warn("ignored")
warnings.simplefilter("always")
with warnings.catch_warnings(record=True) as seen:
    warnings.warn("collected")
assert len(seen) == 1
"""


def test_what_is_shown_is_recorded_and_nothing_else(py: Any, sink: Any) -> None:
    ran = py("import brakit" + CODE, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    plain = py("import os" + CODE)
    assert ran.rc == plain.rc == 0
    assert ran.stderr.replace("app0", "app1") == plain.stderr != ""
    [log] = sink.events
    data = log["data"]
    assert (data["level"], data["logger"]) == ("warn", "py.warnings")
    assert data["message"] == "DeprecationWarning: use new() instead, password=****"
    assert (data["callsite"]["function"], data["callsite"]["line"]) == ("caller", 6)


def test_by_way_of_logging_it_is_one_record(py: Any, sink: Any) -> None:
    code = "import logging, warnings\nlogging.basicConfig()\nlogging.captureWarnings(True)\nwarnings.warn('careful')\n"
    ran = py("import brakit\n" + code, BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    plain = py("import os\n" + code)
    assert ran.stderr.replace("app0", "app1") == plain.stderr
    [log] = sink.events
    assert (log["data"]["logger"], log["data"]["level"]) == ("py.warnings", "warn")


def test_a_hook_of_the_app_gets_it_as_it_is(client: Client, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(warnings, "showwarning", lambda *args, **kwargs: shown.append(args[0]))
    warning = UserWarning("careful")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda *args, **kwargs: shown.append(args[0])
        warnings.warn(warning, stacklevel=1)
    assert shown == [warning]
    [log] = events("log")
    assert log["data"]["message"] == "UserWarning: careful"
    assert log["data"]["callsite"]["function"] == "test_a_hook_of_the_app_gets_it_as_it_is"


def test_one_that_is_an_exception_is_none(client: Client, events: Events) -> None:
    warning = UserWarning("careful")
    with pytest.raises(UserWarning) as raised:
        warnings.warn(warning, stacklevel=1)
    assert (raised.value, events()) == (warning, [])


def test_an_exception_of_a_hook_is_the_app_s(client: Client, events: Events) -> None:
    error = LookupError("mine")

    def show(*args: Any, **kwargs: Any) -> None:
        raise error

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        with pytest.raises(LookupError) as raised:
            warnings.warn("careful", stacklevel=1)
    assert raised.value is error
    assert len(events("log")) == 1


def test_the_original_is_put_back(client: Client) -> None:
    ours: Any = warnings._showwarnmsg  # type: ignore[attr-defined]
    client.shutdown(0)
    assert warnings._showwarnmsg is ours.__wrapped__  # type: ignore[attr-defined]
