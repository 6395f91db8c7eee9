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
    must: dict[str, str] = {}  # noqa: RUF012 - a tuple's default, never written
    """Tests that have to fail with us, by the beginning of their ids, and why."""


SUITES = {
    "aiosqlite": Suite(tests=("--pyargs", "aiosqlite.tests.smoke"), installed=True),
    "bottle": Suite(tests=("test",)),
    "celery": Suite(
        needs=("pytest-timeout", "pytest-order", "redis", "sqlalchemy", "pymongo", "moto", "boto3", "gevent", "elasticsearch", "pyyaml",
               "cryptography", "urllib3", "requests", "msgpack", "python-memcached", "tblib", "pytest-subtests", "pytest-click"),
        tests=("t/unit",),
    ),
    "django": Suite(
        needs=("asgiref", "tblib", "pymemcache", "pyyaml", "pillow", "jinja2", "argon2-cffi", "bcrypt", "redis"),
        tests=("tests/runtests.py", "--parallel=1", "--noinput", "--settings=test_sqlite"),
        script=True,
    ),
    "falcon": Suite(),
    "flask": Suite(),
    "httpx": Suite(needs=("httpx[brotli,cli,http2,socks,zstd]", "trio", "trustme", "uvicorn", "chardet")),
    "loguru": Suite(needs=("freezegun", "colorama"), options=("--ignore=tests/typesafety",)),
    "redis": Suite(needs=("pytest-asyncio", "pytest-timeout"), redis=True, options=("--redis-url={redis}",)),
    "requests": Suite(),
    "sqlalchemy": Suite(
        needs=("sqlalchemy[asyncio,aiosqlite]", "pytest-xdist"),
        tests=("test/base", "test/engine", "test/dialect/test_sqlite.py", "test/ext/asyncio", "test/sql/test_resultset.py"),
        options=("-p", "no:xdist"),
    ),
    "starlette": Suite(needs=("httpx",), pytest="pytest"),
    "structlog": Suite(),
    "tornado": Suite(tests=("--pyargs", "tornado.test"), installed=True),
    "urllib3": Suite(options=("-m", "not requires_network")),
    "werkzeug": Suite(),
}  # fmt: skip
TESTLESS = ("quart",)
"""Their source distributions bring no tests."""
