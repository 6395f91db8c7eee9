"""What runs the cases: a job of the recorder's own, or the real app of a web framework with its client."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from typing import Any

import fastapi
import flask
import httpx
from werkzeug.test import Client

from brakit_server.local import Recorder
from tests.corpus.cases import Case, Exercise

Opens = Callable[[], AbstractContextManager[Any]]
OpensAsync = Callable[[], AbstractAsyncContextManager[Any]]


class Job:
    """The function is a job, and gets what `resource` opens."""

    def __init__(self, resource: Opens) -> None:
        self.resource = resource

    @contextmanager
    def open(self, case: Case) -> Iterator[Exercise]:
        with self.resource() as opened:

            def exercise(recorder: Recorder) -> None:
                with recorder.job(case.name):
                    case.function(opened)

            yield exercise


class AsyncJob:
    """The coroutine function is a job, and gets what `resource` opens in the same loop."""

    def __init__(self, resource: OpensAsync) -> None:
        self.resource = resource

    @contextmanager
    def open(self, case: Case) -> Iterator[Exercise]:
        with asyncio.Runner() as runner:
            opening = self.resource()
            opened = runner.run(opening.__aenter__())
            try:

                def exercise(recorder: Recorder) -> None:
                    with recorder.job(case.name):
                        runner.run(case.function(opened), context=contextvars.copy_context())

                yield exercise
            finally:
                runner.run(opening.__aexit__(None, None, None))


class Flask:
    """The function is a view of a Flask app, called by Werkzeug's client at `/<name>` (at its own `path`, where it has one)."""

    def __init__(self, resource: Opens) -> None:
        self.resource = resource

    @contextmanager
    def open(self, case: Case) -> Iterator[Exercise]:
        app = flask.Flask(case.name)
        with self.resource() as opened:
            rule, path, method = _route(case)
            app.add_url_rule(rule, case.function.__name__, lambda **given: case.function(opened, **given), methods=[method])
            client = app.test_client()

            def exercise(_: Recorder) -> None:
                client.open(path, method=method, json=getattr(case.function, "json", None)).get_data()

            yield exercise


class FastApi:
    """The coroutine function is a route of a FastAPI app, called through its whole ASGI stack."""

    def __init__(self, resource: OpensAsync) -> None:
        self.resource = resource

    @contextmanager
    def open(self, case: Case) -> Iterator[Exercise]:
        app = fastapi.FastAPI()
        rule, path, method = _route(case)
        with asyncio.Runner() as runner:
            opening = self.resource()
            opened = runner.run(opening.__aenter__())

            async def endpoint(request: fastapi.Request) -> Any:
                return await case.function(opened, **request.path_params)

            app.add_api_route(rule.replace("<int:", "{").replace(">", "}"), endpoint, methods=[method], response_model=None)

            async def call() -> None:
                transport = httpx.ASGITransport(app, raise_app_exceptions=False)
                async with httpx.AsyncClient(transport=transport, base_url="http://corpus") as client:
                    await client.request(method, path, json=getattr(case.function, "json", None))

            try:
                yield lambda _: runner.run(call())
            finally:
                runner.run(opening.__aexit__(None, None, None))


def at(rule: str, path: str | None = None, method: str = "GET", json: object = None) -> Callable[[Any], Any]:
    """Says where a view is: its route, and the path (with its query) at which it is called."""

    def put(function: Any) -> Any:
        function.rule, function.path, function.method, function.json = rule, path or rule, method, json
        return function

    return put


def _route(case: Case) -> tuple[str, str, str]:
    function: Any = case.function
    plain = f"/{function.__name__}"
    return getattr(function, "rule", plain), getattr(function, "path", plain), getattr(function, "method", "GET")


class Django:
    """The function is what a view of a Django project does, called through the project's WSGI application."""

    @contextmanager
    def open(self, case: Case) -> Iterator[Exercise]:
        from django.core.wsgi import get_wsgi_application  # type: ignore[import-untyped]

        from tests.corpus import django_shop

        name = case.function.__name__
        with django_shop.filled():
            django_shop.VIEWS[name] = case.function
            client = Client(get_wsgi_application())

            def exercise(_: Recorder) -> None:
                client.get(f"/corpus/{name}").get_data()

            yield exercise
