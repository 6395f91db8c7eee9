"""`pyramid.py`: a real Pyramid app in waitress."""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

import httpx
import pytest

with warnings.catch_warnings():
    # It uses pkg_resources.
    warnings.simplefilter("ignore")
    from pyramid.config import Configurator  # type: ignore[import-untyped]
    from pyramid.httpexceptions import HTTPForbidden, HTTPFound  # type: ignore[import-untyped]
    from pyramid.request import Request  # type: ignore[import-untyped]
    from pyramid.response import FileResponse, Response  # type: ignore[import-untyped]

from sdk.tests.instrumentations.web.contract import Counter, Leaving, Sold, log

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Json = dict[str, Any]


class TestPyramid(Leaving):
    framework = "pyramid"
    routes = {  # noqa: RUF012
        "/orders/1": "/orders/{id}",
        "/sub/orders/1": "/sub/orders/{id}",
        "DELETE": "/orders/{id}",
    }

    @pytest.fixture
    def start(self, serve_wsgi: Callable[[Any], str]) -> Callable[[Any], str]:
        return serve_wsgi

    def shop(self, counter: Counter, folder: Any, *, debug: bool = False) -> Any:
        config = Configurator()

        def route(path: str, method: str = "GET", **given: Any) -> Callable[[Any], Any]:
            def add(view: Any) -> Any:
                config.add_route(path, path)
                config.add_view(view, route_name=path, request_method=method, **given)
                return view

            return add

        @route("/orders/{id}", renderer="json")
        @route("sub/orders/{id}", renderer="json")
        def order(request: Any) -> Json:
            log.warning("in the view")
            return {"id": int(request.matchdict["id"])}

        def refused(request: Any) -> Response:
            return Response(status=405)

        config.add_view(refused, route_name="/orders/{id}", request_method="DELETE")

        @route("/fail")
        def fail(request: Any) -> Any:
            counter.fail()

        @route("/sold")
        def sold(request: Any) -> Any:
            raise Sold

        def sorry(error: Sold, request: Any) -> Response:
            return Response("sold", status=409)

        config.add_exception_view(sorry, context=Sold)

        @route("/denied")
        def denied(request: Any) -> Any:
            raise HTTPForbidden

        @route("/empty")
        def empty(request: Any) -> Response:
            return Response(status=204)

        @route("/away")
        def away(request: Any) -> Any:
            raise HTTPFound("/orders/1")

        @route("/file")
        def file(request: Any) -> Response:
            return FileResponse(str(folder / "page.html"), request=request)

        @route("/echo", "POST")
        def echo(request: Any) -> Response:
            return Response(request.body)

        @route("/stream")
        def stream(request: Any) -> Response:
            def chunks() -> Iterator[bytes]:
                try:
                    yield b"first"
                    counter.gate.wait(10)
                    log.warning("streaming")
                    yield from counter.rest()
                finally:
                    counter.closed.set()

            return Response(app_iter=chunks(), content_type="text/plain")

        @route("/work/{number}")
        def work(request: Any) -> Response:
            log.warning("%s", request.matchdict["number"])
            time.sleep(0.005)
            log.warning("%s", request.matchdict["number"])
            return Response(request.matchdict["number"])

        @route("/inside")
        def inside(request: Any) -> Any:
            return request.invoke_subrequest(Request.blank("/orders/7"), use_tweens=True)

        return config.make_wsgi_app()

    def test_a_subrequest_is_part_of_its_request(self, url: str, until: Any) -> None:
        assert httpx.get(url + "/inside").json() == {"id": 7}
        [request] = until(1, only="request")
        assert request["data"]["route"] == "/inside"
