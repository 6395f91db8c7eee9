"""Starlette and FastAPI: every request, from outside of all middleware, with the template of the route that it took.

`Starlette.__call__` is replaced, because nothing that an app can be given lies outside of its middleware. `Mount.matches` adds the
template of the mount to the child scope, where the router's own additions are: a mounted app's routes know only their own part.

A background task of a response is a job with a timeline of its own, which its request has caused.
"""

from __future__ import annotations

import sys

from brakit import context, errors
from brakit.guard import Raised
from brakit.instrumentations import _asgi
from brakit.instrumentations._jobs import Run, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.instrumentations._exchange import Exchange
    from brakit.patch import Patches

SUPPORTS = ">=0.14.2"
FRAMEWORK = True

PREFIX = "brakit.prefix"


def instrument(patch: Patches) -> None:
    patch.probe("starlette.routing:Mount.matches", mount_matches)
    patch.probe("starlette.background:BackgroundTask.__call__", background)
    patch.when("starlette.applications", "starlette.applications:Starlette.__call__", replace_call, patch)


def replace_call(patch: Patches) -> None:
    """Put our wrapper around `Starlette.__call__`; FastAPI inherits it."""
    starlette = sys.modules["starlette.applications"].Starlette
    names: dict[type, str] = {}
    client = patch.client

    def known(exchange: Exchange, app: Any, scope: _asgi.Scope) -> None:
        name = names.get(type(app))
        if name is None:
            fastapi = getattr(sys.modules.get("fastapi"), "FastAPI", None)
            name = names[type(app)] = "fastapi" if fastapi is not None and isinstance(app, fastapi) else "starlette"
            if name == "fastapi" and client.framework == "starlette":
                client.framework = name
        exchange.framework = exchange.framework or name
        # The innermost scope: middleware around a mounted app may have made a new one.
        exchange.source = scope if not exchange.finished else None
        exchange.find_route = template

    patch.replace(starlette, "__call__", _asgi.around(client, starlette.__call__, "starlette", known))


def background(call: Call) -> Generator[None, Any, None]:
    """A task of a response is a job that its request has caused; what goes wrong in it is reported there, and there alone."""
    function = call.args[0].func
    caused_by = context.current()
    run = Run(call.client, "starlette", name_of(function), function=function)
    root = caused_by.root if caused_by is not None else None
    if root is not None and root.exchange is not None:
        root.exchange.has_jobs = True
    try:
        yield
    except Raised as raised:
        run.end(error=raised.error)
        if root is not None:
            errors.share(run.owner, root, raised.error)
    else:
        run.end()


def mount_matches(call: Call) -> Generator[None, Any, None]:
    _match, child_scope = yield
    if child_scope:
        child_scope[PREFIX] = call.args[1].get(PREFIX, "") + call.args[0].path


def template(scope: _asgi.Scope) -> str | None:
    """The template of the route that answered, with those of the mounts around it; None when none matched."""
    prefix: str = scope.get(PREFIX, "")
    route = scope.get("route")
    fastapi = scope.get("fastapi")
    effective = fastapi.get("effective_route_context") if isinstance(fastapi, dict) else None
    # An included router knows its routes without its prefix; FastAPI makes effective ones for each inclusion. That of a mounted app
    # is left behind when one of the app's own routes is taken.
    if effective is not None and (route is None or effective.original_route is route or hasattr(route, "include_context")):
        route = effective.starlette_route or effective
    elif route is None:
        # Starlette did not always put the route into the scope.
        route = _by_endpoint(scope)
    if route is None:
        return None
    if hasattr(route, "routes"):
        # A mount, or an app at a host: with routes of its own, none of which matched, or a plain app.
        return None if route.routes else (prefix or "/")
    path = getattr(route, "path", None)
    return prefix + path if isinstance(path, str) and (prefix or path) else None


def _by_endpoint(scope: _asgi.Scope) -> Any:
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return None
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    # The innermost app's routes, which a router does not see through middleware, then those of the outermost router.
    routes = [*getattr(scope.get("app"), "routes", ()), *getattr(scope.get("router"), "routes", ())]
    while routes:
        route = routes.pop(0)
        if getattr(route, "endpoint", None) is endpoint and route.path_regex.match(path):
            return route
        if hasattr(route, "routes"):
            if route.app is endpoint:
                return route
            # None, for a plain app below a mount of before 0.20.
            routes[:0] = route.routes or ()
    return None
