"""Logs, checks of who it is, threads, warnings, what nobody catches, and the public API; the work is done in a request."""

# mypy: disable-error-code="import-untyped,import-not-found,untyped-decorator,misc,unused-ignore"

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import brakit
from tests.faults.apps.drivers import Work, looped
from tests.faults.apps.wsgi import Shop, served
from tests.faults.bench import InRequest, InWaitress
from tests.faults.observing import Run, See
from tests.faults.sweep import App

log = logging.getLogger("shop")
Making = contextlib.AbstractContextManager[Run]
KEY = "k" * 32


def inside(begin: Callable[[], Callable[[See], None]]) -> Callable[[], Making]:
    @contextlib.contextmanager
    def made() -> Iterator[Run]:
        request, work = InRequest(), begin()
        yield lambda see: request(see, work)

    return made


def from_logging() -> Callable[[See], None]:
    def work(see: See) -> None:
        log.warning("one %s", "word", extra={"size": 3})
        try:
            raise LookupError("no such thing")
        except LookupError:
            log.exception("failed")
        log.error("bad %d", 3)
        logging.getLogger("shop.quiet").debug("not said")

    return work


def loguru() -> Callable[[See], None]:
    import loguru

    loguru.logger.remove()
    lines: list[str] = []
    loguru.logger.add(lines.append, format="{level} {message}", backtrace=False)

    def work(see: See) -> None:
        lines.clear()
        loguru.logger.bind(size=3).warning("one {}", "word")
        try:
            raise LookupError("no such thing")
        except LookupError as error:
            loguru.logger.opt(exception=error).error("failed")
        see([line.splitlines()[0] for line in lines])

    return work


def structlog() -> Callable[[See], None]:
    import structlog

    lines: list[dict[str, Any]] = []

    def keep(_logger: Any, method: str, event: dict[str, Any]) -> Any:
        lines.append({**event, "exception": None})
        raise structlog.DropEvent

    processors: Any = [structlog.processors.add_log_level, structlog.processors.format_exc_info, keep]
    structlog.configure(processors=processors)
    logger = structlog.get_logger("shop")

    def work(see: See) -> None:
        lines.clear()
        logger.warning("one word", size=3)
        try:
            raise LookupError("no such thing")
        except LookupError:
            logger.exception("failed")
        see(lines)

    return work


def from_warnings() -> Callable[[See], None]:
    def work(see: See) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old", DeprecationWarning, stacklevel=1)

    return work


def from_threads() -> Callable[[See], None]:
    def beside() -> None:
        log.warning("beside")

    def failing() -> None:
        raise LookupError("nobody catches this")

    def work(see: See) -> None:
        for function in (beside, failing):
            thread = threading.Thread(target=function)
            thread.start()
            thread.join()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            see(pool.submit(int, "3").result())
            pool.submit(beside).result()
            with see.error():
                pool.submit(failing).result()

    return work


def unraisable() -> Callable[[See], None]:
    class Failing:
        def __del__(self) -> None:
            raise LookupError("while it goes")

    def work(see: See) -> None:
        Failing()

    return work


def public() -> Callable[[See], None]:
    def work(see: See) -> None:
        with brakit.span("render", pages=3):
            log.warning("rendering")
        with see.error(), brakit.span("failing"):
            raise LookupError("in a span")
        try:
            raise LookupError("handled")
        except LookupError:
            brakit.capture_error()
        brakit.auth_check("session", "allowed", subject_kind="user")

    return work


def jwt() -> Callable[[See], None]:
    import jwt

    good = jwt.encode({"sub": "somebody"}, KEY, algorithm="HS256")
    old = jwt.encode({"sub": "somebody", "exp": 1}, KEY, algorithm="HS256")

    def work(see: See) -> None:
        see(jwt.decode(good, KEY, algorithms=["HS256"]))
        with see.error():
            jwt.decode(old, KEY, algorithms=["HS256"])

    return work


def joserfc() -> Callable[[See], None]:
    from joserfc import jwt
    from joserfc.jwk import OctKey

    key = OctKey.import_key(KEY)
    good = jwt.encode({"alg": "HS256"}, {"sub": "somebody", "exp": int(time.time()) + 10_000}, key)
    old = jwt.encode({"alg": "HS256"}, {"sub": "somebody", "exp": 1}, key)
    registry = jwt.JWTClaimsRegistry(exp={"essential": True})

    def work(see: See) -> None:
        registry.validate(jwt.decode(good, key).claims)
        with see.error():
            registry.validate(jwt.decode(old, key).claims)

    return work


def _questions(app: Callable[[Shop], Any], paths: tuple[str, ...]) -> Callable[[], Making]:
    @contextlib.contextmanager
    def made() -> Iterator[Run]:
        shop = Shop()
        server = InWaitress(app(shop))
        try:
            yield served(shop, server, tuple(("GET", path, b"") for path in paths))
        finally:
            server.close()

    return made


def flask_login(shop: Shop) -> Any:
    import flask
    import flask_login

    class User(flask_login.UserMixin):
        id = "somebody"

    app = flask.Flask("app")
    app.secret_key = "k"
    login = flask_login.LoginManager(app)

    @login.request_loader
    def load(request: Any) -> Any:
        return User() if request.args.get("token") else None

    @app.get("/private")
    @flask_login.login_required
    def private() -> Any:
        return shop.order(1)

    return app


def authlib(shop: Shop) -> Any:
    import authlib.integrations.flask_oauth2
    import flask
    from authlib.oauth2.rfc6750 import BearerTokenValidator

    class Token:
        def is_expired(self) -> bool:
            return False

        is_revoked = is_expired

        def get_scope(self) -> str:
            return "orders"

    class Validator(BearerTokenValidator):
        def authenticate_token(self, token_string: str) -> Any:
            return Token() if token_string == "good" else None

    app = flask.Flask("app")
    protector: Any = authlib.integrations.flask_oauth2.ResourceProtector()
    protector.register_token_validator(Validator())

    @app.before_request
    def given() -> None:
        if token := flask.request.args.get("token"):
            flask.request.environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"

    @app.get("/orders")
    @protector(["orders"])
    def orders() -> Any:
        return shop.order(1)

    return app


async def loops() -> AsyncIterator[Work]:
    from asgiref.sync import sync_to_async

    def beside() -> None:
        log.warning("beside")

    async def failing() -> None:
        raise LookupError("nobody awaits this")

    async def work(see: See) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, beside)
        await asyncio.to_thread(beside)
        await sync_to_async(beside)()
        await asyncio.gather(asyncio.create_task(asyncio.sleep(0)), asyncio.sleep(0))
        with see.error():
            await asyncio.create_task(failing())
        loop.call_soon(int, "no number")
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    yield work


@contextlib.contextmanager
def uvloop() -> Iterator[Run]:
    import uvloop

    policy = asyncio.get_event_loop_policy()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        with looped(loops) as run:
            yield run
    finally:
        asyncio.set_event_loop_policy(policy)


def gevent() -> Callable[[See], None]:
    import gevent
    import gevent.pool

    def beside() -> None:
        log.warning("beside")

    def failing() -> None:
        raise LookupError("in a greenlet")

    def work(see: See) -> None:
        gevent.spawn(beside).join()
        gevent.joinall([gevent.spawn_later(0, beside)])
        pool = gevent.pool.Pool(2)
        see(pool.map(abs, [-1, 2]))
        greenlet = gevent.spawn(failing)
        greenlet.join()
        see(type(greenlet.exception).__name__)

    return work


APPS = [
    App("logging", inside(from_logging), ("logging.py", "_logs.py"), ("errors.py",)),
    App("loguru", inside(loguru), ("loguru.py", "_logs.py")),
    App("structlog", inside(structlog), ("structlog.py", "_logs.py")),
    App("warnings", inside(from_warnings), ("warnings.py",)),
    App("threading", inside(from_threads), ("threading.py", "concurrent.py", "_carried.py")),
    App("sys", inside(unraisable), ("sys.py",)),
    App("asyncio", lambda: looped(loops), ("asyncio.py", "_loops.py", "asgiref.py", "concurrent.py")),
    App("uvloop", uvloop, ("uvloop.py", "_loops.py")),
    App("brakit", inside(public), ("api.py",), ("api.py",)),
    App("jwt", inside(jwt), ("jwt.py", "_tokens.py")),
    App("joserfc", inside(joserfc), ("joserfc.py", "_tokens.py")),
    App("flask_login", _questions(flask_login, ("/private?token=1", "/private")), ("flask_login.py", "_view.py")),
    App("authlib", _questions(authlib, ("/orders?token=good", "/orders?token=bad", "/orders")), ("authlib.py", "_view.py")),
    App("gevent", inside(gevent), ("gevent.py",)),
]
