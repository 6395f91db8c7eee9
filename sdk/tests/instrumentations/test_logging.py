"""logging, in whatever order it is configured, with whatever is logged."""

from __future__ import annotations

import io
import logging
import logging.config
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of its own, at every level, with one handler that formats."""
    made = logging.getLogger("tests.logging")
    made.setLevel(1)
    made.propagate = False
    handler = logging.StreamHandler(io.StringIO())
    made.addHandler(handler)
    yield made
    made.removeHandler(handler)
    made.propagate = True
    made.setLevel(logging.NOTSET)


def test_one_record_is_one_event_with_its_line(client: Client, events: Events, logger: logging.Logger) -> None:
    logger.warning("item %s costs %d", "lamp", 12, extra={"cart": 7, "password": "hunter2"})
    [event] = events()
    data = event["data"]
    assert (data["level"], data["message"], data["logger"]) == ("warn", "item lamp costs 12", "tests.logging")
    assert data["fields"] == {"cart": "7", "password": "****"}
    assert data["callsite"]["file"].endswith("sdk/tests/instrumentations/test_logging.py")
    assert data["callsite"]["function"] == "test_one_record_is_one_event_with_its_line"


@pytest.mark.parametrize(
    ("number", "level"), [(5, "debug"), (10, "debug"), (20, "info"), (25, "info"), (30, "warn"), (40, "error"), (50, "error")]
)
def test_levels(client: Client, events: Events, logger: logging.Logger, number: int, level: str) -> None:
    logger.log(number, "x")
    assert [event["data"]["level"] for event in events()] == [level]


def test_what_the_app_filters_out_stays_out(client: Client, events: Events, logger: logging.Logger) -> None:
    logger.setLevel(logging.ERROR)
    logger.warning("below the level")
    logger.addFilter(no := lambda record: "secret" not in record.msg)
    logger.error("a secret")
    logger.removeFilter(no)
    assert events() == []


def test_an_exception_goes_along(client: Client, events: Events, logger: logging.Logger) -> None:
    try:
        raise LookupError("no such shelf")
    except LookupError:
        logger.exception("failed")
    [event] = events("log")
    exception = event["data"]["exception"]
    assert (exception["name"], exception["message"]) == ("LookupError", "no such shelf")
    assert 'raise LookupError("no such shelf")' in exception["stack"]


class Hostile:
    """Must not be looked at: whatever is done with it is noted."""

    def __init__(self) -> None:
        self.touched: list[str] = []

    def __str__(self) -> str:
        self.touched.append("str")
        raise RuntimeError

    __repr__ = __str__

    def __len__(self) -> int:
        self.touched.append("len")
        return 0


def test_foreign_objects_are_not_looked_at(client: Client, events: Events) -> None:
    # In no hierarchy, so that the handler of pytest does not format for us.
    quiet = logging.Logger("tests.logging.quiet")
    quiet.addHandler(logging.NullHandler())
    hostile = Hostile()
    quiet.error("got %s and %s", hostile, "plain", extra={"thing": hostile})
    quiet.error(hostile)
    first, second = events()
    assert first["data"]["message"] == "got <Hostile> and plain"
    assert first["data"]["fields"] == {"thing": "<Hostile>"}
    assert second["data"]["message"] == "<Hostile>"
    assert hostile.touched == []


def test_arguments_that_do_not_fit_are_the_apps_affair(client: Client, events: Events) -> None:
    # In no hierarchy, so that the handler of pytest does not format for us.
    quiet = logging.Logger("tests.logging.quiet")
    quiet.addHandler(logging.NullHandler())
    quiet.error("%d items, %s", "three")
    quiet.error("%(name)s", {"name": "by name"})
    first, second = events()
    assert first["data"]["message"].startswith("%d items, %s")
    assert second["data"]["message"] == "by name"


def test_a_handler_that_raises_still_raises(client: Client, events: Events, logger: logging.Logger) -> None:
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("disk full")

    logger.addHandler(broken := Broken())
    with pytest.raises(OSError, match="disk full"):
        logger.error("x")
    logger.removeHandler(broken)
    assert len(events()) == 1


def test_loggers_without_propagation_and_dict_config(client: Client, events: Events) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"h": {"class": "logging.NullHandler"}},
            "loggers": {"tests.configured": {"handlers": ["h"], "level": "INFO", "propagate": False}},
        }
    )
    logging.getLogger("tests.configured").info("after dictConfig")
    assert [event["data"]["message"] for event in events()] == ["after dictConfig"]


@pytest.mark.parametrize("importing", ["import brakit", ""])
def test_the_apps_own_output_is_the_same(py: Any, importing: str, tmp_path: Path) -> None:
    code = f"""{importing}
import logging
logging.getLogger("early").warning("last resort")
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
logging.getLogger("late").info("configured")
print(logging.getLogger().handlers, logging.getLogger().level, logging.Logger.manager.loggerDict.keys())
"""
    ran = py(code, BRAKIT_ENABLE="1", BRAKIT_DIR=str(tmp_path / "nowhere"))
    assert ran.rc == 0
    assert ran.stderr == "last resort\nINFO configured\n"
    assert ran.stdout == "[<StreamHandler <stderr> (NOTSET)>] 20 dict_keys(['early', 'late'])\n"
