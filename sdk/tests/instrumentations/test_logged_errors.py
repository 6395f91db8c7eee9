"""`logger.exception` and what becomes of the exception: one event, with its logs, whoever logs and wherever it goes on to."""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Any

import flask
import httpx
import loguru
import pytest
import structlog
import websockets.sync.client
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

import brakit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]
    Serve = Callable[..., str]
    Call = Callable[[Callable[[], Any]], tuple[list[Json], list[Json]]]

log = logging.getLogger("tests.logged")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nothing is written; structlog goes through logging, as most set it up."""
    loguru.logger.remove()
    loguru.logger.add(lambda message: None)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    yield
    structlog.reset_defaults()


LOGGERS: dict[str, Callable[[str], Any]] = {
    "logging": log.exception,
    "exc_info": lambda text: log.critical(text, exc_info=sys.exc_info()[1]),
    "loguru": lambda text: loguru.logger.exception(text),
    "structlog": lambda text: structlog.get_logger("tests.logged").exception(text),
    "structlog alone": lambda text: structlog.wrap_logger(Nowhere(), [], structlog.BoundLogger).exception(text, exc_info=True),
}


class Nowhere:
    """What structlog writes to."""

    def exception(self, **fields: Any) -> None:
        return


def flask_app(work: Callable[[], Any]) -> Any:
    app = flask.Flask("logged")
    app.add_url_rule("/", view_func=lambda: work() or "answer")
    return app


def starlette_app(work: Callable[[], Any]) -> Any:
    async def view(request: Any) -> PlainTextResponse:
        return PlainTextResponse(work() or "answer")

    return Starlette(routes=[Route("/", view)])


def starlette_thread(work: Callable[[], Any]) -> Any:
    def view(request: Any) -> PlainTextResponse:
        return PlainTextResponse(work() or "answer")

    return Starlette(routes=[Route("/", view)])


APPS = {"flask": flask_app, "starlette": starlette_app, "starlette in a thread": starlette_thread}


@pytest.fixture(params=APPS.values(), ids=list(APPS))
def call(request: pytest.FixtureRequest, events: Events, serve: Serve, serve_wsgi: Serve) -> Call:
    """`call(work)`: logs of the test's and errors of a request that does `work`; both belong to it, and it comes last."""

    def call(work: Callable[[], Any]) -> tuple[list[Json], list[Json]]:
        app = request.param(work)
        with httpx.Client() as caller:
            caller.get((serve_wsgi if isinstance(app, flask.Flask) else serve)(app))
        found: list[Json] = []
        deadline = time.monotonic() + 10
        while not (found and found[-1]["type"] == "request") and time.monotonic() < deadline:
            time.sleep(0.005)
            found += [event for event in events() if event["type"] not in ("fetch", "span") and not from_server(event)]
        assert found[-1]["type"] == "request"
        assert {event["parentId"] for event in found[:-1]} <= {found[-1]["id"]}
        logs = [event for event in found if event["type"] == "log" and event["data"]["message"].startswith("it ")]
        return logs, [event for event in found if event["type"] == "error"]

    return call


def from_server(event: Json) -> bool:
    return event["type"] == "log" and str(event["data"]["logger"]).startswith(("asyncio", "uvicorn", "waitress"))


def fail(text: str = "no such shelf") -> None:
    raise LookupError(text)


@pytest.mark.parametrize("logs", LOGGERS.values(), ids=LOGGERS.keys())
def test_what_is_logged_and_goes_no_further(call: Call, logs: Callable[[str], Any]) -> None:
    def work() -> None:
        try:
            fail()
        except LookupError:
            logs("it failed")

    [log], [error] = call(work)
    data = error["data"]
    assert (data["name"], data["message"], data["handled"], data["mechanism"]) == (
        "LookupError",
        "no such shelf",
        True,
        "logging",
    )
    assert data["callsite"]["function"] == "fail"
    assert log["data"]["errorId"] == error["id"]
    assert log["data"]["exception"]["name"] == "LookupError"


@pytest.mark.parametrize("logs", LOGGERS.values(), ids=LOGGERS.keys())
def test_what_is_logged_and_goes_on_is_one_error(call: Call, logs: Callable[[str], Any]) -> None:
    def inner() -> None:
        try:
            fail()
        except LookupError:
            logs("it failed")
            raise

    def work() -> None:
        try:
            inner()
        except LookupError:
            logs("it failed again")
            raise

    logged, [error] = call(work)
    assert (error["data"]["name"], error["data"]["handled"], error["data"]["mechanism"] in ("flask", "starlette")) == (
        "LookupError",
        False,
        True,
    )
    assert [frame["function"].rpartition(".")[2] for frame in error["data"]["frames"][-3:]] == ["work", "inner", "fail"]
    assert [log["data"]["errorId"] for log in logged] == [error["id"]] * 2


def test_what_is_logged_and_leads_to_another_is_one_error(call: Call) -> None:
    def work() -> None:
        try:
            fail()
        except LookupError as error:
            log.exception("it failed")
            raise RuntimeError("the shop is closed") from error

    [logged], [error] = call(work)
    assert (error["data"]["name"], error["data"]["handled"]) == ("RuntimeError", False)
    assert [cause["name"] for cause in error["data"]["causes"]] == ["LookupError"]
    assert logged["data"]["errorId"] == error["id"]


def test_a_chain_that_is_logged_at_each_step(call: Call) -> None:
    def work() -> None:
        try:
            try:
                fail()
            except LookupError as error:
                log.exception("it failed")
                raise RuntimeError("the shop is closed") from error
        except RuntimeError:
            log.exception("it failed because of that")

    logged, [error] = call(work)
    assert (error["data"]["name"], error["data"]["handled"], error["data"]["mechanism"]) == ("RuntimeError", True, "logging")
    assert [log["data"]["errorId"] for log in logged] == [error["id"]] * 2


def test_each_round_of_a_loop_is_an_error(call: Call) -> None:
    def work() -> None:
        for number in range(3):
            try:
                fail("all alike")
            except LookupError:
                log.exception("it failed")
                log.error("it was round %d", number, exc_info=True)

    logged, reported = call(work)
    reported.sort(key=lambda error: error["timestamp"])
    assert len({error["id"] for error in reported}) == len(reported) == 3
    assert [log["data"]["errorId"] for log in logged] == [id for error in reported for id in [error["id"]] * 2]


def test_what_the_app_reports_as_well(call: Call) -> None:
    def work() -> None:
        try:
            fail()
        except LookupError as error:
            log.exception("it failed")
            brakit.capture_error(error)
            log.exception("it was reported")

    logged, [error] = call(work)
    assert (error["data"]["mechanism"], error["data"]["handled"]) == ("logging", True)
    assert [log["data"]["errorId"] for log in logged] == [error["id"]] * 2


def test_what_is_no_error_to_the_app(call: Call) -> None:
    def work() -> None:
        try:
            fail()
        except LookupError:
            log.warning("it failed, never mind", exc_info=True)
            structlog.get_logger("tests.logged").warning("it failed, too", exc_info=True)
            logging.getLogger("tests.off").exception("it goes nowhere")
        log.error("it has none")

    off = logging.getLogger("tests.off")
    off.setLevel(logging.CRITICAL + 1)
    logged, reported = call(work)
    off.setLevel(logging.NOTSET)
    assert len(logged) == 3
    assert reported == []
    assert not any("errorId" in log["data"] for log in logged)


def test_what_a_processor_drops_is_no_error(call: Call) -> None:
    def drop(*_: Any) -> Any:
        raise structlog.DropEvent

    def work() -> None:
        try:
            fail()
        except LookupError:
            structlog.wrap_logger(Nowhere(), [drop], structlog.BoundLogger).exception("it failed", exc_info=True)

    assert call(work) == ([], [])


LIBRARY = (
    "def work(log, fail):\n    try:\n        fail()\n    except LookupError:\n        log.exception('it failed in a library')\n"
)


def test_what_a_library_logs_is_a_log(call: Call) -> None:
    namespace: dict[str, Any] = {}
    exec(compile(LIBRARY, "/somewhere/site-packages/library.py", "exec"), namespace)
    [logged], reported = call(lambda: namespace["work"](log, fail))
    assert logged["data"]["exception"]["name"] == "LookupError"
    assert reported == []


def test_what_the_framework_logs_is_joined(client: Client, events: Events, caplog: pytest.LogCaptureFixture) -> None:
    assert flask_app(fail).test_client().get("/").status_code == 500
    assert "Exception on / [GET]" in caplog.text
    found = events()
    [error] = [event for event in found if event["type"] == "error"]
    [logged] = [event for event in found if event["type"] == "log"]
    assert logged["data"]["errorId"] == error["id"]
    assert error["data"]["handled"] is False


def test_a_connection_does_not_wait_for_its_end(client: Client, events: Events, serve: Serve) -> None:
    async def chat(connection: Any) -> None:
        await connection.accept()
        try:
            fail()
        except LookupError:
            log.exception("it failed")
        await connection.send_text("seen")
        await connection.receive_text()

    url = serve(Starlette(routes=[WebSocketRoute("/", chat)]), ws="websockets-sansio")
    with websockets.sync.client.connect(url.replace("http", "ws") + "/") as connection:
        assert connection.recv() == "seen"
        assert [event["type"] for event in events() if not from_server(event)] == ["error", "log"]
        connection.send("end")


def test_a_stream_does_not_wait_for_its_end(client: Client, events: Events, serve: Serve) -> None:
    seen: list[str] = []

    async def pieces() -> AsyncIterator[bytes]:
        yield b"first"
        try:
            fail()
        except LookupError:
            log.exception("it failed")
        seen.extend(event["type"] for event in events() if not from_server(event))
        yield b"last"

    app = Starlette(routes=[Route("/", lambda request: StreamingResponse(pieces()))])
    assert httpx.get(serve(app)).text == "firstlast"
    assert sorted(kind for kind in seen if kind != "fetch") == ["error", "log"]
