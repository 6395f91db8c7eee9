"""loguru, alone and together with logging."""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

import pytest
from loguru import logger
from loguru._logger import Logger

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


@pytest.fixture
def sunk() -> Iterator[list[str]]:
    """What the one sink of loguru has got."""
    lines: list[str] = []
    logger.remove()
    logger.add(lambda message: lines.append(str(message).strip()), format="{level}|{function}:{line}|{message}", level="DEBUG")
    yield lines
    logger.remove()


def here() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_one_message_is_one_log_with_its_line(client: Client, events: Events, sunk: list[str]) -> None:
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    logger.bind(cart=7, password="hunter2").warning("item {} costs {price}", "lamp", price=12)
    line = here() - 1
    context.enter(before)
    [log] = events()
    data = log["data"]
    assert (data["level"], data["message"], data["logger"]) == ("warn", "item lamp costs 12", __name__)
    assert data["fields"] == {"cart": "7", "password": "****", "price": "12"}
    assert (data["callsite"]["function"], data["callsite"]["line"]) == ("test_one_message_is_one_log_with_its_line", line)
    assert log["parentId"] == owner.id
    # The sink was told the same line as without us.
    assert sunk == [f"WARNING|test_one_message_is_one_log_with_its_line:{line}|item lamp costs 12"]


@pytest.mark.parametrize(
    ("name", "level"),
    [("DEBUG", "debug"), ("INFO", "info"), ("SUCCESS", "info"), ("WARNING", "warn"), ("ERROR", "error"), ("CRITICAL", "error")],
)
def test_levels(client: Client, events: Events, sunk: list[str], name: str, level: str) -> None:
    logger.log(name, "x")
    logger.log("TRACE", "below every sink")
    assert [log["data"]["level"] for log in events()] == [level]


def test_several_sinks_are_one_log(client: Client, events: Events, sunk: list[str]) -> None:
    logger.add(sunk.append)
    logger.info("x")
    assert (len(sunk), len(events())) == (2, 1)


def test_an_exception_in_flight(client: Client, events: Events, sunk: list[str]) -> None:
    @logger.catch
    def broken() -> None:
        raise LookupError("gone")

    broken()
    [log] = events("log")
    assert (log["data"]["exception"]["name"], log["data"]["exception"]["message"]) == ("LookupError", "gone")
    assert log["data"]["callsite"]["function"] == "test_an_exception_in_flight"
    assert sunk[0].startswith("ERROR|test_an_exception_in_flight:")


def test_patchers_of_the_app_come_first(client: Client, events: Events, sunk: list[str]) -> None:
    logger.patch(lambda record: record["extra"].update(added="yes")).info("x")
    assert events()[0]["data"]["fields"] == {"added": "yes"}


def test_an_exception_of_the_app_is_the_same_object(client: Client, events: Events, sunk: list[str]) -> None:
    error = LookupError("mine")

    def refuse(record: Any) -> None:
        raise error

    with pytest.raises(LookupError) as raised:
        logger.patch(refuse).info("x")
    assert (raised.value, events()) == (error, [])


class Intercept(logging.Handler):
    """The handler that loguru's documentation shows: it looks for the line by leaving logging's own file."""

    def emit(self, record: logging.LogRecord) -> None:
        frame, depth = inspect.currentframe(), 0
        while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
            frame, depth = frame.f_back, depth + 1
        logger.opt(depth=depth, exception=record.exc_info).log(record.levelname, record.getMessage())


def test_from_logging_to_loguru_it_is_one_log(client: Client, events: Events, sunk: list[str]) -> None:
    standard = logging.getLogger("tests.intercepted")
    standard.propagate = False
    standard.addHandler(Intercept())
    standard.warning("item %s", "lamp")
    line = here() - 1
    logger.info("and one of its own")
    assert [log["data"]["logger"] for log in events()] == ["tests.intercepted", __name__]
    assert sunk[0] == f"WARNING|test_from_logging_to_loguru_it_is_one_log:{line}|item lamp"


def test_from_loguru_to_logging_it_is_one_log(client: Client, events: Events, sunk: list[str]) -> None:
    class Propagate(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logging.getLogger(record.name).handle(record)

    logger.add(Propagate(), format="{message}")
    logger.warning("x")
    logging.getLogger("tests.own").warning("y")
    assert [log["data"]["message"] for log in events()] == ["x", "y"]


def test_the_original_is_put_back(client: Client) -> None:
    ours = vars(Logger)["_log"]
    client.shutdown(0)
    assert vars(Logger)["_log"] is ours.__wrapped__
