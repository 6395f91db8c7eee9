"""structlog, with its own loggers and over logging."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
import structlog._base

from brakit import context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    """Where structlog prints, as JSON with the line of the caller, from INFO on."""
    made = io.StringIO()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.CallsiteParameterAdder([structlog.processors.CallsiteParameter.FUNC_NAME]),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(made),
        cache_logger_on_first_use=False,
    )
    yield made
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def standard() -> Iterator[logging.Logger]:
    """structlog over logging, in the way that its documentation shows."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    made = logging.getLogger("tests.structlog")
    made.setLevel(logging.INFO)
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=structlog.processors.JSONRenderer()))
    made.addHandler(handler)
    made.propagate = False
    yield made
    made.removeHandler(handler)
    made.propagate = True
    made.setLevel(logging.NOTSET)
    structlog.reset_defaults()


def test_one_event_is_one_log_with_its_line_and_fields(client: Client, events: Events, out: io.StringIO) -> None:
    owner, _, _ = context.request_owner(None, None)
    before = context.enter(owner)
    structlog.contextvars.bind_contextvars(trace="t1")
    structlog.get_logger().bind(cart=7).warning("item sold", item="lamp", password="hunter2")
    context.enter(before)
    [log] = events()
    data = log["data"]
    assert (data["level"], data["message"], data["logger"]) == ("warn", "item sold", "structlog")
    assert data["fields"] == {"cart": "7", "item": "lamp", "password": "****", "trace": "t1"}
    assert data["callsite"]["function"] == "test_one_event_is_one_log_with_its_line_and_fields"
    assert log["parentId"] == owner.id
    # The caller is the same as without us.
    assert '"func_name": "test_one_event_is_one_log_with_its_line_and_fields"' in out.getvalue()


def test_what_is_filtered_or_dropped_stays_out(client: Client, events: Events, out: io.StringIO) -> None:
    def drop(logger: Any, name: str, event: Any) -> Any:
        raise structlog.DropEvent

    structlog.get_logger().debug("below the level")
    structlog.wrap_logger(structlog.PrintLogger(out), processors=[drop]).error("dropped")
    assert (events(), out.getvalue()) == ([], "")


def test_an_exception_in_flight(client: Client, events: Events, out: io.StringIO) -> None:
    try:
        raise LookupError("gone")
    except LookupError:
        structlog.get_logger().exception("failed")
    [log] = events("log")
    assert (log["data"]["level"], log["data"]["exception"]["message"]) == ("error", "gone")
    assert "fields" not in log["data"]


def test_an_exception_of_a_processor_is_the_app_s(client: Client, events: Events, out: io.StringIO) -> None:
    error = LookupError("mine")

    def refuse(logger: Any, name: str, event: Any) -> Any:
        raise error

    with pytest.raises(LookupError) as raised:
        structlog.wrap_logger(structlog.PrintLogger(out), processors=[refuse]).error("x")
    assert (raised.value, events()) == (error, [])


def test_over_logging_it_is_one_log_with_its_fields(client: Client, events: Events, standard: logging.Logger) -> None:
    log = structlog.stdlib.get_logger("tests.structlog").bind(cart=7)
    log.warning("item %s sold", "lamp", price=12)
    log.debug("below the level")
    standard.warning("and one of its own")
    first, second = (event["data"] for event in events())
    assert (first["level"], first["message"], first["logger"]) == ("warn", "item lamp sold", "tests.structlog")
    assert first["fields"] == {"cart": "7", "price": "12"}
    assert first["callsite"]["function"] == "test_over_logging_it_is_one_log_with_its_fields"
    assert second["message"] == "and one of its own"


def test_what_logging_filters_out_stays_out(client: Client, events: Events, standard: logging.Logger) -> None:
    standard.addFilter(no := lambda record: False)
    structlog.stdlib.get_logger("tests.structlog").error("x")
    standard.removeFilter(no)
    standard.error("y")
    assert [log["data"]["message"] for log in events()] == ["y"]


@pytest.mark.skipif(
    not hasattr(structlog.make_filtering_bound_logger(0), "ainfo"), reason="async methods came with structlog 23.1"
)
async def test_from_async_methods(client: Client, events: Events, out: io.StringIO) -> None:
    await structlog.get_logger().ainfo("x", a=1)
    [log] = events()
    assert (log["data"]["message"], log["data"]["fields"]) == ("x", {"a": "1"})


def test_foreign_objects_are_not_asked(client: Client, events: Events, out: io.StringIO) -> None:
    class Shy:
        asked = 0

        def __repr__(self) -> str:
            Shy.asked += 1
            return "Shy()"

    structlog.get_logger().info("x", it=Shy())
    # Once, by the renderer of the app.
    assert (Shy.asked, events()[0]["data"]["fields"]) == (1, {"it": "<Shy>"})


def test_the_originals_are_put_back(client: Client) -> None:
    holder = structlog._base.BoundLoggerBase
    ours = {name: vars(holder)[name] for name in ("_proxy_to_logger", "_process_event")}
    client.shutdown(0)
    for name, method in ours.items():
        assert vars(holder)[name] is method.__wrapped__
