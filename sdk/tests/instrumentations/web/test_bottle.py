"""`bottle.py`: a real Bottle app in waitress."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import bottle  # type: ignore[import-untyped]
import httpx
import pytest
from sdk.tests.instrumentations.web.contract import Counter, Debug, Leaving, Sold, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from brakit.client import Client

    Json = dict[str, Any]
    View = Callable[[str], Callable[[Any], Any]]


class TestBottle(Debug, Leaving):
    framework = "bottle"
    routes = {  # noqa: RUF012
        "/orders/1": "/orders/<id:int>",
        "/sub/orders/1": "/sub/orders/<id:int>",
    }

    @pytest.fixture
    def start(self, serve_wsgi: Callable[[Any], str]) -> Callable[[Any], str]:
        return serve_wsgi

    @pytest.fixture(autouse=True)
    def quiet(self, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
        yield
        bottle.debug(False)

    def shop(self, counter: Counter, folder: Any, *, debug: bool = False) -> Any:
        bottle.debug(debug)
        app: Any = bottle.Bottle()
        sub: Any = bottle.Bottle()
        get: View = app.get
        post: View = app.post
        sub_get: View = sub.get

        @get("/orders/<id:int>")
        @sub_get("/orders/<id:int>")
        def order(id: int) -> Json:
            log.warning("in the view")
            return {"id": id}

        @get("/fail")
        def fail() -> str:
            counter.fail()
            return ""

        def sorry(view: Any) -> Any:
            def call(*args: Any, **kwargs: Any) -> Any:
                try:
                    return view(*args, **kwargs)
                except Sold:
                    return bottle.HTTPResponse("sold", 409)

            return call

        @get("/sold")
        def sold() -> str:
            raise Sold

        @get("/denied")
        def denied() -> str:
            bottle.abort(403)
            return ""

        @get("/empty")
        def empty() -> Any:
            return bottle.HTTPResponse(status=204)

        @get("/away")
        def away() -> Any:
            bottle.redirect("/orders/1", 302)

        @get("/file")
        def file() -> Any:
            return bottle.static_file("page.html", root=str(folder))

        @post("/echo")
        def echo() -> Any:
            return bottle.request.body.read()

        @get("/stream")
        def stream() -> Iterator[bytes]:
            try:
                bottle.response.content_type = "text/plain"
                yield b"first"
                counter.gate.wait(10)
                log.warning("streaming")
                yield from counter.rest()
            finally:
                counter.closed.set()

        @get("/work/<number:int>")
        def work(number: int) -> str:
            log.warning("%d", number)
            time.sleep(0.005)
            log.warning("%d", number)
            return str(number)

        app.install(sorry)
        app.mount("/sub/", sub)
        return app

    def test_one_that_is_mounted_as_a_plain_app(
        self, client: Client, start: Callable[[Any], str], until: Any, counter: Counter, folder: Any
    ) -> None:
        app: Any = bottle.Bottle()
        app.mount("/old/", self.shop(counter, folder).wsgi)
        whole: Any = self.shop(counter, folder)
        app.mount("/whole/", lambda environ, start_response: whole(environ, start_response))
        url = start(app)
        for path in ("/old/orders/1", "/whole/orders/1", "/whole/sub/orders/1", "/whole/nothing"):
            httpx.get(url + path)
        found = [event["data"] for event in until(4, only="request")]
        assert [data["statusCode"] for data in found] == [200, 200, 200, 404]
        assert [data.get("route") for data in found[1:]] == ["/whole/orders/<id:int>", "/whole/sub/orders/<id:int>", None]

    def test_catchall_off_lets_it_through(self, client: Client, events: Callable[..., list[Json]], counter: Counter) -> None:
        app: Any = bottle.Bottle()
        app.config["catchall"] = False
        app.route("/fail", callback=counter.fail)
        with pytest.raises(Exception, match="broken") as raised, httpx.Client(transport=httpx.WSGITransport(app)) as caller:
            caller.get("http://app.test/fail")
        assert raised.value is counter.raised[0]
        error, request = (event for event in events() if event["type"] in ("error", "request"))
        assert (error["parentId"], request["data"]["statusCode"], request["data"]["route"]) == (request["id"], 500, "/fail")

    def test_a_stream_that_fails_at_once(self, url: str, start: Any, until: Any) -> None:
        app: Any = bottle.Bottle()
        get: View = app.get

        @get("/fail")
        def fail() -> Iterator[str]:
            raise Sold
            yield ""

        assert httpx.get(start(app) + "/fail").status_code == 500
        error, request = (event for event in until(1) if event["type"] in ("error", "request"))
        assert (error["data"]["name"], error["parentId"]) == ("Sold", request["id"])
