"""The libraries whose own tests are run: what these need beside what the source distribution names, and which are run."""

from __future__ import annotations

from typing import NamedTuple


class Suite(NamedTuple):
    """The tests of one distribution."""

    needs: tuple[str, ...] = ()
    """Requirements that its metadata do not name."""
    without: tuple[str, ...] = ()
    """Requirements that its metadata name and its tests do without."""
    tests: tuple[str, ...] = ("tests",)
    """What pytest is given, or the script and its arguments where `script` says so."""
    options: tuple[str, ...] = ()
    script: bool = False
    """The tests are run by a script of their own, over unittest; ids are its labels."""
    installed: bool = False
    """The tests stand in the installed package."""
    redis: bool = False
    """The tests empty databases of a Redis: they get one of their own; `{redis}` in `options` is its address."""
    pytest: str = "pytest<9"
    """Most suites are older than what pytest has taken away since."""
    warm: bool = False
    """Its tests compare the threads that run with those of the start: our sender has to be among these."""
    fails: dict[str, str] = {}  # noqa: RUF012
    """Places at which lines of ours fail, and why that is right."""
    must: dict[str, str] = {}  # noqa: RUF012 - a tuple's default, never written
    """Tests that have to fail with us, by the beginning of their ids, and why."""


ANY = "pytest"
SENT = "it compares or counts the headers that a call to loopback has sent: ours are among them, as they are meant to be"
DUMMY = "test/with_dummyserver/test"
SENDS_HEADERS = {
    f"{DUMMY}_{test}": SENT
    for test in (
        "poolmanager.py::TestPoolManager::test_headers_http_header_dict",
        "poolmanager.py::TestPoolManager::test_headers_http_multi_header_multipart",
        "poolmanager.py::TestPoolManager::test_merge_headers_with_pool_manager_headers",
        "socketlevel.py::TestHeaders::test_headers_are_sent_with_the_original_case",
        "socketlevel.py::TestHeaders::test_ua_header_can_be_overridden",
        "socketlevel.py::TestContentFraming::test_chunked_specified",
        "socketlevel.py::TestContentFraming::test_chunked_not_specified",
    )
}
SHOWS_HEADERS = {"tests/test_main.py::test_verbose": SENT, "tests/test_main.py::test_auth": SENT}
SUITES = {
    "aiohttp": Suite(
        needs=("pytest-cov", "pytest-xdist"),
        tests=tuple(
            f"tests/test_{name}.py"
            for name in ("client_functional", "client_request", "client_session", "web_functional", "web_websocket_functional")
        ),
        options=("--numprocesses=0", "--no-cov"),
    ),
    "aiosqlite": Suite(tests=("--pyargs", "aiosqlite.tests.smoke"), installed=True),
    "apscheduler": Suite(
        needs=("redis", "sqlalchemy", "tornado"), without=("apscheduler", "pyside6"), options=("-m", "not external_service")
    ),
    "bottle": Suite(tests=("test",)),
    "celery": Suite(pytest=ANY, tests=("t/unit/app", "t/unit/worker", "t/unit/tasks", "t/unit/utils"), warm=True),
    "django": Suite(
        needs=("argon2-cffi", "asgiref", "bcrypt", "jinja2", "pillow", "pymemcache", "pyyaml", "redis", "tblib"),
        tests=(
            "tests/runtests.py", "--parallel=1", "--noinput", "--settings=test_sqlite",
            "asgi", "async", "auth_tests", "backends", "basic", "db_utils", "file_uploads", "handlers", "logging_tests", "middleware",
            "middleware_exceptions", "queries", "requests_tests", "servers", "test_client", "transactions", "urlpatterns",
            "view_tests", "wsgi",
        ),
        script=True,
    ),
    "falcon": Suite(),
    "fastapi": Suite(pytest=ANY, without=("logfire", "playwright"), options=("-p", "no:sugar")),
    "flask": Suite(),
    "httpx": Suite(needs=("httpx[brotli,cli,http2,socks,zstd]", "trio", "trustme", "uvicorn", "chardet"), must=SHOWS_HEADERS),
    # Its storages' tests empty a Redis and a PostgreSQL of theirs.
    "huey": Suite(
        tests=("--pyargs", *(f"huey.tests.test_{name}" for name in ("api", "asyncio", "consumer", "immediate", "signals", "wrappers"))),
        installed=True,
    ),
    "pyramid": Suite(fails={"wsgi.answer": "its apps answer with texts, which no WSGI server takes: such a request is lost to us"}),
    "redis": Suite(
        needs=("pytest-asyncio",),
        tests=("tests/test_pipeline.py", "tests/test_pubsub.py", "tests/test_asyncio/test_pipeline.py", "tests/test_commands.py"),
        redis=True,
        options=("--redis-url={redis}", "-m", "not onlycluster and not redismod and not replica and not ssl"),
    ),
    "requests": Suite(),
    "sqlalchemy": Suite(
        needs=("sqlalchemy[asyncio,aiosqlite]", "pytest-xdist"),
        tests=("test/base", "test/engine", "test/dialect/sqlite", "test/ext/asyncio", "test/sql/test_resultset.py"),
        options=("-n", "0"),
    ),
    "starlette": Suite(needs=("httpx",), pytest=ANY),
    "structlog": Suite(),
    "tornado": Suite(tests=("-m", "tornado.test.runtests"), script=True, installed=True),
    "urllib3": Suite(
        needs=("cryptography", "idna", "pyopenssl", "trustme"), tests=("test",), options=("-m", "not requires_network"),
        must=SENDS_HEADERS,
    ),
    "uvicorn": Suite(pytest=ANY, options=("-n", "0")),
    "werkzeug": Suite(),
}  # fmt: skip
TESTLESS = ("loguru", "peewee", "quart")
"""Their source distributions bring no tests, or only some that touch no database."""
