"""`_wsgi.py`: one call of a WSGI app, driven by hand between the standard library's two validators, and in waitress."""

from __future__ import annotations

import contextvars
import io
import logging
import threading
import time
import traceback
import wsgiref.util
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import httpx
import pytest

from brakit import context
from brakit.discovery import Address
from brakit.instrumentations import _wsgi
from brakit.transport import Sender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    Events = Callable[..., list[Json]]

TEXT = [("Content-Type", "text/plain")]
HEX = "0123456789abcdef0123456789abcdef"


def outermost(client: Client, app: Any) -> Any:
    """`app` with us around it, as a framework's instrumentation puts us there."""

    def inside(self: Any, environ: Json, start_response: Any) -> Any:
        return app(environ, start_response)

    return type("App", (), {"__call__": _wsgi.around(client, inside, "own")})()


def environ_of(**changes: Any) -> Json:
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/thing",
        "QUERY_STRING": "a=1",
        "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "wsgi.input": io.BytesIO(),
        **changes,
    }
    wsgiref.util.setup_testing_defaults(environ)
    return {name: value for name, value in environ.items() if value is not None}


class Answer:
    """What a server saw of an app's answer."""

    def __init__(self, client: Client, app: Any, environ: Json | None = None, most: int = 1000) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self.written: list[bytes] = []
        self.chunks: list[bytes] = []
        self.result = outermost(client, app)(environ or environ_of(), self.start)
        try:
            for chunk in self.result:
                self.chunks.append(chunk)
                if len(self.chunks) >= most:
                    break
        finally:
            if hasattr(self.result, "close"):
                self.result.close()

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if exc_info:
            raise exc_info[1]
        self.status, self.headers = status, headers
        return self.written.append


def hello(environ: Json, start_response: Any) -> list[bytes]:
    start_response("200 OK", list(TEXT))
    return [b"hello"]


def test_a_request(client: Client, events: Events) -> None:
    answer = Answer(client, hello)
    assert (answer.status, answer.headers, answer.chunks) == ("200 OK", TEXT, [b"hello"])
    [event] = events()
    data = event["data"]
    assert event["id"] == event["requestId"] == data["id"]
    assert (data["method"], data["url"], data["path"], data["statusCode"]) == ("GET", "/thing?a=1", "/thing", 200)
    assert (data["responseSize"], data["responseBody"], data["client"]) == (5, "hello", "127.0.0.1")
    assert (data["scheme"], data["httpVersion"], data["framework"]) == ("http", "1.1", "own")
    assert data["headers"]["host"] == "127.0.0.1:8000"
    assert data["responseHeaders"] == {"content-type": "text/plain"}
    assert 0 <= data["responseStartMs"] <= data["durationMs"] < 1000
    assert context.current() is None


def test_a_list_stays_the_same_object(client: Client, events: Events) -> None:
    given = [b"x"]

    def app(environ: Json, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return given

    assert Answer(client, app).result is given


def test_the_servers_file_wrapper_stays_the_same_object(client: Client, events: Events) -> None:
    def app(environ: Json, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Length", "7")])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"content"))

    answer = Answer(client, app, environ_of(**{"wsgi.file_wrapper": wsgiref.util.FileWrapper}))
    assert type(answer.result) is wsgiref.util.FileWrapper
    assert events()[0]["data"]["responseSize"] == 7


@pytest.mark.parametrize("script", ["", "/mounted"])
def test_it_keeps_to_the_specification_on_both_sides(client: Client, events: Events, script: str) -> None:
    def app(environ: Json, start_response: Any) -> Iterator[bytes]:
        read = environ["wsgi.input"]
        parts = [read.read(3), read.readline(100), *read.readlines(2), *read]
        start_response("200 OK", list(TEXT))
        yield from parts

    environ = environ_of(
        REQUEST_METHOD="POST",
        SCRIPT_NAME=script,
        CONTENT_LENGTH="24",
        CONTENT_TYPE="text/plain",
        **{"wsgi.input": io.BytesIO(b"one two\nthree\nfour\nfive\n")},
    )
    whole = validator(outermost(client, validator(app)))
    sent: list[bytes] = []
    result: Any = whole(environ, lambda status, headers, exc_info=None: sent.append)
    body = b"".join(result)
    result.close()
    assert body == b"one two\nthree\nfour\nfive\n"
    data = events()[0]["data"]
    assert (data["requestSize"], data["requestBody"]) == (24, body.decode())
    assert data["path"] == script + "/thing"


def test_nothing_is_read_that_the_app_does_not_read(client: Client, events: Events) -> None:
    body = io.BytesIO(b"x" * 1000)
    Answer(client, hello, environ_of(REQUEST_METHOD="POST", **{"wsgi.input": body}))
    assert body.tell() == 0
    assert "requestSize" not in events()[0]["data"]

    def half(environ: Json, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read(500)
        assert environ["wsgi.input"].getvalue() is not None, "the server's object keeps its other methods"
        return hello(environ, start_response)

    Answer(client, half, environ_of(REQUEST_METHOD="POST", **{"wsgi.input": body}))
    assert body.tell() == 500
    assert events()[0]["data"]["requestSize"] == 500


def test_the_body_is_of_the_servers_class(client: Client, events: Events) -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = environ["wsgi.input"]
        assert isinstance(body, io.BytesIO)
        assert (body.read(3), body.tell()) == (b"one", 3)
        return hello(environ, start_response)

    Answer(client, app, environ_of(REQUEST_METHOD="POST", **{"wsgi.input": io.BytesIO(b"one two")}))
    assert events()[0]["data"]["requestSize"] == 3


def test_a_stream_belongs_to_its_request_in_any_thread(client: Client, events: Events) -> None:
    owners = []

    def app(environ: Json, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        try:
            for number in range(1000):
                owners.append(context.current())
                logging.getLogger("app").warning("%d", number)
                yield b"1234"
        finally:
            owners.append(context.current())

    result = outermost(client, app)(environ_of(), lambda status, headers, exc_info=None: None)
    assert context.current() is None
    assert next(result) == b"1234"
    assert context.current() is None

    def rest() -> None:
        assert sum(map(len, result)) == 999 * 4
        result.close()
        assert context.current() is None

    thread = threading.Thread(target=contextvars.Context().run, args=(rest,))
    thread.start()
    thread.join()
    assert len(set(owners)) == 1
    assert owners[0] is not None
    seen = events()
    [request] = [event for event in seen if event["type"] == "request"]
    assert (request["data"]["responseSize"], len(request["data"]["responseBody"])) == (4000, 4000)
    assert {event["parentId"] for event in seen if event["type"] == "log"} == {request["id"]}


def test_close_is_called_once_and_what_it_takes_is_apart(client: Client, events: Events) -> None:
    class Result:
        closed = 0

        def __iter__(self) -> Iterator[bytes]:
            return iter([b"a", b"b"])

        def close(self) -> None:
            self.closed += 1
            time.sleep(0.03)

    given = Result()

    def app(environ: Json, start_response: Any) -> Result:
        start_response("200 OK", list(TEXT))
        return given

    Answer(client, app)
    assert given.closed == 1
    request, span = events()
    assert (request["data"]["responseSize"], request["data"]["responseBody"]) == (2, "ab")
    assert request["data"]["durationMs"] < 25
    assert span["data"]["name"] == "background tasks"
    assert span["data"]["duration"] > 25


def test_a_client_that_leaves(client: Client, events: Events) -> None:
    def app(environ: Json, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        yield b"one"
        yield b"two"

    Answer(client, app, most=1)
    data = events()[0]["data"]
    assert (data["statusCode"], data["cancelled"], data["responseSize"]) == (200, True, 3)


def test_an_answer_that_nobody_closes(client: Client, events: Events) -> None:
    def app(environ: Json, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "3")])
        yield b"one"

    answer = iter(outermost(client, app)(environ_of(), lambda status, headers, exc_info=None: None))
    assert next(answer) == b"one"
    data = events()[0]["data"]
    assert (data["statusCode"], data["responseSize"], "cancelled" in data) == (200, 3, False)
    del answer
    assert events() == []


def test_the_time_in_which_a_server_sends_is_not_the_apps(client: Client, events: Events) -> None:
    def app(environ: Json, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "3")])
        yield b"one"

    answer = outermost(client, app)(environ_of(), lambda status, headers, exc_info=None: None)
    for _ in answer:
        time.sleep(0.05)
    answer.close()
    (request,) = events()
    assert request["data"]["durationMs"] < 50


def test_a_stream_that_nobody_closes(client: Client, events: Events) -> None:
    def app(environ: Json, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        yield b"one"
        yield b"two"

    answer = iter(outermost(client, app)(environ_of(), lambda status, headers, exc_info=None: None))
    assert next(answer) == b"one"
    assert events() == []
    del answer
    data = events()[0]["data"]
    assert (data["statusCode"], data["responseSize"], data["cancelled"]) == (200, 3, True)


def test_a_server_that_has_all_that_was_announced(client: Client, events: Events) -> None:
    def app(environ: Json, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [("Content-Length", "3")])
        yield b"one"

    Answer(client, app, most=1)
    assert "cancelled" not in events()[0]["data"]


def test_write(client: Client, events: Events) -> None:
    def app(environ: Json, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", list(TEXT))
        write(b"by hand, ")
        return [b"and so"]

    assert Answer(client, app).written == [b"by hand, "]
    assert events()[0]["data"]["responseBody"] == "by hand, and so"


def test_an_exception_comes_back_as_it_was(client: Client, events: Events) -> None:
    error = RuntimeError("no")

    def app(environ: Json, start_response: Any) -> list[bytes]:
        start_response("200 OK", list(TEXT))
        raise error

    with pytest.raises(RuntimeError) as raised:
        Answer(client, app)
    assert raised.value is error
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "/src/brakit/" in frame.filename]
    assert len(ours) == 1
    failure, request = events()
    assert (failure["data"]["name"], failure["data"]["mechanism"], failure["parentId"]) == ("RuntimeError", "own", request["id"])
    assert request["data"]["statusCode"] == 500
    assert context.current() is None


@pytest.mark.parametrize(("sent", "status"), [(0, 500), (1, 200)])
def test_an_exception_in_a_stream(client: Client, events: Events, sent: int, status: int) -> None:
    def app(environ: Json, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", list(TEXT))
        yield from [b"x"] * sent
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        Answer(client, app)
    failure, request = (event for event in events() if event["type"] != "span")
    assert failure["type"] == "error"
    assert request["data"]["statusCode"] == status
    assert "cancelled" not in request["data"]


def test_a_second_start_with_an_exception(client: Client, events: Events) -> None:
    def app(environ: Json, start_response: Any) -> list[bytes]:
        start_response("200 OK", list(TEXT))
        try:
            raise ValueError("inner")
        except ValueError as error:
            start_response("500 Oops", list(TEXT), (ValueError, error, error.__traceback__))
        return []

    with pytest.raises(ValueError, match="inner"):
        Answer(client, app)
    assert events()[1]["data"]["statusCode"] == 500


def test_one_inside_another_is_one_request(client: Client, events: Events) -> None:
    Answer(client, outermost(client, hello))
    assert len(events("request")) == 1


@pytest.mark.parametrize(
    ("given", "parent"),
    [(HEX, HEX), (f"{HEX},{HEX}", None), ("x" * 1_000_000, None), (f"{HEX}\r\nx: y", None), ("", None)],
)
def test_inbound_ids(client: Client, events: Events, given: str, parent: str | None) -> None:
    Answer(client, hello, environ_of(HTTP_X_BRAKIT_REQUEST_ID=given, HTTP_X_BRAKIT_FETCH_ID="c" * 32))
    [event] = events()
    assert event.get("parentId") == parent
    assert event["requestId"] == (parent or event["id"])
    assert event["data"]["parentFetchId"] == "c" * 32


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"PATH_INFO": "/ü".encode().decode("latin-1"), "QUERY_STRING": ""}, "/%C3%BC"),
        ({"PATH_INFO": "/\xff"}, "/%EF%BF%BD?a=1"),
        ({"PATH_INFO": "", "SCRIPT_NAME": ""}, "/?a=1"),
        ({"PATH_INFO": "/a b?c"}, "/a%20b%3Fc?a=1"),
    ],
)
def test_urls(client: Client, events: Events, changes: Json, url: str) -> None:
    environ = environ_of()
    environ.update(changes)
    Answer(client, hello, environ)
    assert events()[0]["data"]["url"] == url


def test_the_dashboards_path_leads_to_it(client: Client, events: Events) -> None:
    assert Answer(client, hello, environ_of(PATH_INFO="/__brakit")).status == "200 OK"
    client.sender = Sender(client)
    client.sender.address = Address("127.0.0.1", 4321)
    events()
    answer = Answer(client, hello, environ_of(PATH_INFO="/__brakit/errors"))
    assert answer.status == "307 Temporary Redirect"
    assert dict(answer.headers)["Location"] == "http://127.0.0.1:4321/__brakit/errors?a=1"
    assert events() == []
    for change in (
        {"REMOTE_ADDR": "10.0.0.1"},
        {"HTTP_HOST": "evil.example"},
        {"REQUEST_METHOD": "POST"},
        {"SERVER_PORT": "4321"},
    ):
        assert Answer(client, hello, environ_of(PATH_INFO="/__brakit", **change)).status == "200 OK"


@pytest.mark.failures
def test_a_failure_of_ours_costs_one_event(client: Client, events: Events) -> None:
    def odd(environ: Json, start_response: Any) -> list[bytes]:
        start_response("odd", None)
        return [b"x"]

    assert Answer(client, odd).chunks == [b"x"]
    assert client.failures.counts == {"wsgi.start": 1}
    assert events()[0]["data"]["statusCode"] == 500
    assert context.current() is None


def test_after_shutdown_it_is_quiet(client: Client, events: Events) -> None:
    client.open = False
    assert Answer(client, hello).chunks == [b"hello"]
    client.open = True
    assert events() == []


def test_in_waitress(client: Client, serve_wsgi: Callable[[Any], str], collect: Callable[..., list[Json]]) -> None:
    gate = threading.Event()

    def app(environ: Json, start_response: Any) -> Iterator[bytes] | list[bytes]:
        if environ["PATH_INFO"] == "/list":
            return hello(environ, start_response)
        start_response("200 OK", list(TEXT))
        return stream()

    def stream() -> Iterator[bytes]:
        yield b"x" * 20_000
        assert gate.wait(10)
        yield b"last"

    url = serve_wsgi(outermost(client, app))
    assert httpx.get(url + "/list").headers["content-length"] == "5"
    with httpx.stream("GET", url + "/stream") as response:
        body = response.iter_raw()
        assert next(body).startswith(b"x")
        gate.set()
        assert b"".join(body).endswith(b"last")
    first, second = collect("request", 2)
    assert (first["data"]["responseSize"], second["data"]["responseSize"]) == (5, 20_004)
    assert second["data"]["client"] == "127.0.0.1"
    fetches = {event["data"]["fetchId"] for event in collect("fetch", 2)}
    assert {first["data"]["parentFetchId"], second["data"]["parentFetchId"]} == fetches
