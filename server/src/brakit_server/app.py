"""Joins the rooms: the routes, what is around them, and the process that serves them until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route, Router

from brakit_server import api
from brakit_server.analysis.rules import SettingError
from brakit_server.api.ingest import Shortcut
from brakit_server.config import Config, ConfigError
from brakit_server.connections import Connections
from brakit_server.filters import FilterError
from brakit_server.memory import Ceiling
from brakit_server.pipeline import Pipeline
from brakit_server.running import Folder
from brakit_server.security import API, PREFIX, Security, tokens_of
from brakit_server.stores import StoreRefused, StoreUnavailable
from brakit_server.terminal import log_to_stderr

WEB = Path(__file__).parent / "web"
"""The built dashboard."""

NO_BUILD = (
    "The dashboard is not built. Run `make setup` (or `npm ci && npm run build` in dashboard/), then load this page again.\n"
)


def create_app(config: Config, *, nonce: str = "", web: Path = WEB) -> Starlette:
    """The ASGI app on the data folder of `config`, which must exist.

    Raises `StoreRefused` or `StoreUnavailable` where the database cannot be opened, `SettingError` where a rule's setting is wrong.
    """
    pipeline = Pipeline(config, nonce)
    tokens = tokens_of(config)
    ceiling = Ceiling(config.max_memory)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:  # noqa: ARG001
        await pipeline.start()
        try:
            yield
        finally:
            await pipeline.stop()

    async def page(request: Request) -> Response:
        return _page(web, request.path_params.get("path", ""))

    async def home(request: Request) -> Response:  # noqa: ARG001
        return RedirectResponse(PREFIX, 302)

    app = Starlette(
        routes=[
            Route("/", home, methods=["GET"]),
            Mount(API, app=Router(api.routes(), redirect_slashes=False)),
            Route(PREFIX, page, methods=["GET"]),
            Route(f"{PREFIX}/{{path:path}}", page, methods=["GET"]),
        ],
        middleware=[
            Middleware(Security, config=config, tokens=tokens, ceiling=ceiling, meters=pipeline.meters),
            Middleware(Shortcut),
        ],
        exception_handlers={HTTPException: _refused, StoreUnavailable: _unavailable, FilterError: api.refused_filter},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.pipeline = pipeline
    app.state.tokens = tokens
    app.state.ceiling = ceiling
    app.state.connections = Connections()
    return app


def serve(config: Config) -> int:
    """Serve until SIGINT, SIGTERM, or the end of `config.until_exit`; print the dashboard's address. Returns the exit code.

    Raises `ConfigError` where the folder, the database, the port or a setting cannot be used; `AlreadyRunning` for a second
    server on one data folder.
    """
    os.umask(0o077)
    log_to_stderr()
    folder = Folder(config.dir)
    try:
        with contextlib.closing(listen(config)) as listening:
            port = listening.getsockname()[1]
            url = f"http://{address(config.host)}:{port}{PREFIX}"
            try:
                app = create_app(config, nonce=folder.nonce)
            except (StoreRefused, StoreUnavailable, SettingError) as error:
                raise ConfigError(str(error)) from error

            def ready() -> None:
                folder.announce(port, url)
                sys.stdout.write(f"brakit: {url}\n")
                if config.guarded:
                    sys.stdout.write(f"brakit: {readers(config)}\n")
                sys.stdout.flush()

            pipeline: Pipeline = app.state.pipeline
            connections: Connections = app.state.connections

            def stopping() -> None:
                pipeline.stream.close()
                connections.stop(asyncio.get_running_loop())

            server = _Server(
                uvicorn.Config(
                    app,
                    http=connections.protocol,
                    access_log=False,
                    log_config=None,
                    lifespan="on",
                    ws="none",
                    proxy_headers=False,
                    server_header=False,
                    date_header=False,
                    timeout_keep_alive=75,
                    timeout_graceful_shutdown=2,
                ),
                ready,
                stopping,
                config.until_exit,
            )
            # The server stops in order at a signal and then raises it again: the rest of the order is ours.
            for one in (signal.SIGINT, signal.SIGTERM):
                signal.signal(one, server.ask_to_stop)
            server.run(sockets=[listening])
            return 0 if server.started else 1
    finally:
        folder.close()


def listen(config: Config) -> socket.socket:
    """A listening socket on the configured address; on a free port where the default is taken and was not asked for."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    ports = [config.port, 0] if config.port_fallback and config.port else [config.port]
    for port in ports:
        bound = socket.socket(family, socket.SOCK_STREAM)
        if sys.platform != "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((config.host, port))
            bound.listen(512)
        except OSError as error:
            bound.close()
            if port == ports[-1]:
                raise ConfigError(f"port {port} on {config.host} cannot be used: {error.strerror or error}") from error
            continue
        bound.setblocking(False)
        return bound
    raise AssertionError("unreachable")


def is_running(pid: int) -> bool:
    """Whether the process is there; one that ended and was not yet waited for is not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in ("Z", "X")
    return True


def address(host: str) -> str:
    """The host as it stands in a URL that a browser on this machine can open."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)


def readers(config: Config) -> str:
    """Who can read what a server shows that others can reach."""
    if config.loopback:
        return "whoever reaches the proxy in front of it and has the read token can read all that is captured"
    return (
        f"whoever reaches {config.host} and has the read token can read all that is captured; tokens and data travel unencrypted "
        "unless a proxy in front of it encrypts them"
    )


class _Server(uvicorn.Server):
    """Says when it listens, ends the streams before it waits for connections to end, and stops when another process does."""

    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], stopping: Callable[[], None], until_exit: int | None
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._stopping = stopping
        self._until_exit = until_exit

    def ask_to_stop(self, *_: object) -> None:
        """A signal that comes before the server listens to signals itself, or once more after it has stopped."""
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        if self._until_exit is not None and counter % 5 == 0 and not is_running(self._until_exit):
            return True
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            await asyncio.to_thread(self._ready)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        await super().shutdown(sockets)


def _page(web: Path, path: str) -> Response:
    """A file of the build, or the page itself for every address that is a place in the dashboard."""
    if path == "api" or ".." in path.split("/"):
        raise HTTPException(404)
    if path.startswith("assets/") or ("." in path and "/" not in path):
        file = _inside(web, path)
        if file is None:
            raise HTTPException(404)
        lasting = "public, max-age=31536000, immutable" if path.startswith("assets/") else "no-cache"
        return FileResponse(file, headers={"cache-control": lasting})
    index = _inside(web, "index.html")
    if index is None:
        return PlainTextResponse(NO_BUILD, headers={"cache-control": "no-cache"})
    return FileResponse(index, headers={"cache-control": "no-cache"})


def _inside(web: Path, path: str) -> Path | None:
    """A regular file of the build: nothing above it, no links, no names that the build does not have."""
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part or part.startswith(".") for part in parts):
        return None
    file = web
    for part in parts:
        file = file / part
        if file.is_symlink():
            return None
    return file if file.is_file() else None


async def _refused(request: Request, error: Exception) -> Response:  # noqa: ARG001
    assert isinstance(error, HTTPException)
    reason = {404: "Not found", 405: "Method not allowed"}.get(error.status_code, error.detail)
    return JSONResponse({"error": reason}, error.status_code, error.headers)


async def _unavailable(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return JSONResponse({"error": f"The store is unavailable: {error}"}, 503, {"retry-after": "2"})
