"""Runs the tests of each instrumentation with the lowest and the latest release that it says it supports.

`python -m tests.versions [fastapi ...] [lowest | latest]`, or `make versions NAME=fastapi`. The range is SUPPORTS of each file;
its lower bound has to be a release that exists. The lowest is tried on the oldest Python found, the latest on the newest.
Each gets an environment under .cache/versions/.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.matrix import CACHE, ROOT, bounds, environment, interpreters

INSTRUMENTATIONS = ROOT / "sdk/src/brakit/instrumentations"
TESTS = ROOT / "sdk/tests/instrumentations"
TOOLS = ("hypothesis", "jsonschema", "psutil", "pytest", "pytest-asyncio", "pytest-timeout", "uvicorn", "waitress")
"""What every test needs, no newer than everywhere else, except where it is the library itself."""
OLD = ("-W", "ignore")
"""What an old library says on a Python newer than itself is no fault of ours."""


class Library(NamedTuple):
    """What the tests of one instrumentation need beside its target, which is installed as `distribution`."""

    distribution: str = ""
    tests: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    lowest: tuple[str, ...] = ()
    """What has to be as old as the target; each line takes the place of one in `beside`."""


SETUPTOOLS = "setuptools<81"
"""The last with `pkg_resources`."""
LIBRARIES = {
    "MySQLdb": Library(distribution="mysqlclient", beside=("sqlalchemy", "pymysql")),
    "aiohttp": Library(
        tests=("clients/test_aiohttp.py", "web/test_aiohttp_web.py"), beside=("httpx", "websockets"), lowest=("yarl<1.9.9",)
    ),
    "aiomysql": Library(beside=("sqlalchemy[asyncio]",)),
    "aiosqlite": Library(beside=("sqlalchemy[asyncio]",)),
    "apscheduler": Library(lowest=(SETUPTOOLS, "tzlocal<3")),
    "arq": Library(beside=("redis<6",)),
    "asyncmy": Library(beside=("sqlalchemy[asyncio]",)),
    "asyncpg": Library(beside=("sqlalchemy[asyncio]",)),
    "authlib": Library(beside=("cryptography", "django", "flask", "requests")),
    "bottle": Library(beside=("httpx", "websockets")),
    "celery": Library(distribution="celery[redis]", lowest=(SETUPTOOLS,)),
    "django": Library(tests=("django",), beside=("djangorestframework", "httpx", "psycopg[binary,pool]", "pymysql")),
    "dramatiq": Library(distribution="dramatiq[rabbitmq]", beside=("redis",), lowest=("redis<5",)),
    "elastic_transport": Library(beside=("elasticsearch", "aiohttp")),
    "falcon": Library(beside=("httpx", "websockets")),
    "fastapi": Library(beside=("httpx", "python-multipart"), lowest=("aiofiles", "pydantic<2")),
    "flask": Library(distribution="flask[async]", beside=("httpx", "starlette"), lowest=("werkzeug<2.1", "jinja2<3.1")),
    "flask_login": Library(beside=("flask",), lowest=("flask<2.3", "werkzeug<2.3")),
    "gevent": Library(beside=("flask", "gunicorn", "httpx", "requests")),
    "huey": Library(beside=("redis",)),
    "jwt": Library(distribution="pyjwt"),
    "litestar": Library(beside=("httpx", "websockets"), lowest=("sniffio", "annotated-types")),
    "mysql": Library(distribution="mysql-connector-python", beside=("sqlalchemy",)),
    "niquests": Library(beside=("h2",)),
    "peewee": Library(
        tests=("test_peewee.py", "test_peewee_async.py"),
        beside=("aiomysql", "aiosqlite", "asyncpg", "greenlet", "psycopg[binary]", "psycopg2-binary", "pymysql"),
    ),
    "psycopg": Library(distribution="psycopg[binary,pool]", beside=("sqlalchemy[asyncio]",)),
    "psycopg2": Library(distribution="psycopg2-binary", beside=("sqlalchemy",)),
    "psycopg_pool": Library(beside=("psycopg[binary]",)),
    "pymysql": Library(beside=("sqlalchemy",)),
    "pyodbc": Library(beside=("sqlalchemy",)),
    "pyramid": Library(beside=("httpx", "websockets"), lowest=(SETUPTOOLS,)),
    "quart": Library(beside=("httpx", "websockets"), lowest=("flask<3.1",)),
    "requests": Library(tests=("clients/test_requests.py",)),
    "rest_framework": Library(
        distribution="djangorestframework",
        tests=("django/test_rest_framework.py",),
        beside=("django", "httpx", "psycopg[binary]"),
        lowest=("django<5",),
    ),
    "rq": Library(beside=("redis",)),
    "sanic": Library(beside=("httpx", "websockets"), lowest=("websockets<12",)),
    "sqlalchemy": Library(
        distribution="sqlalchemy[asyncio]",
        tests=("sqlalchemy",),
        beside=("aiosqlite", "asyncpg", "psycopg[binary]", "psycopg2-binary", "pymysql"),
    ),
    "tortoise": Library(distribution="tortoise-orm", beside=("asyncmy", "asyncpg", "psycopg[binary,pool]")),
    "starlette": Library(
        tests=("test_starlette.py", "web/test_websockets.py"),
        beside=("fastapi", "httpx", "python-multipart", "websockets"),
        lowest=("aiofiles", "fastapi==0.65", "pydantic<2"),
    ),
    "tornado": Library(beside=("httpx", "websockets")),
    "uvicorn": Library(beside=("fastapi", "flask", "httpx", "starlette")),
}
"""Those that need more than themselves."""


def ranges() -> dict[str, str]:
    """SUPPORTS of every instrumentation whose target is a library of its own."""
    found = {}
    for file in sorted(INSTRUMENTATIONS.glob("[a-zA-Z]*.py")):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SUPPORTS" and ast.literal_eval(node.value):
                found[file.stem] = str(ast.literal_eval(node.value))
    return found


def files(name: str) -> list[str]:
    """The test files of one instrumentation."""
    return [str(TESTS / test) for test in LIBRARIES.get(name, Library()).tests] or [
        str(path) for path in TESTS.rglob(f"test_{name}.py")
    ]


def requirements(name: str, supports: str, end: str) -> list[str]:
    """What is installed for the `lowest` or the `latest` release of one library."""
    library = LIBRARIES.get(name, Library())
    target = library.distribution or name.replace("_", "-")
    bound = "==" + supports.partition(",")[0].removeprefix(">=") if end == "lowest" else supports
    known = {
        _name(target): "",
        **{_name(requirement): requirement for requirement in (*(bounds()[tool] for tool in TOOLS), *library.beside)},
    }
    if end == "lowest":
        known |= {_name(requirement): requirement for requirement in library.lowest}
    del known[_name(target)]
    return [*known.values(), target + bound]


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def attempt(name: str, supports: str, end: str, version: str, python: Path) -> tuple[str, str, str, str, bool]:
    """A line of the table, and whether it passed."""
    wanted = requirements(name, supports, end)
    tests = files(name)
    if not tests:
        return name, supports, wanted[-1], f"{version}: no tests", False
    try:
        inside = environment(CACHE / "versions" / f"{name}-{end}", python, wanted, again=end == "latest")
    except subprocess.CalledProcessError:
        return name, supports, wanted[-1], f"{version}: not installed", False
    distribution = _name(wanted[-1])
    told = [str(inside), "-c", f"import importlib.metadata as m; print(m.version({distribution!r}))"]
    release = subprocess.run(told, capture_output=True, text=True, check=False).stdout.strip()
    print(f"{name} {release} on Python {version}", flush=True)
    # Colour off: the last line is read.
    run = [str(inside), "-m", "pytest", "--quiet", "--color=no", "-p", "no:cacheprovider", *(OLD if end == "lowest" else ())]
    process = subprocess.Popen([*run, *tests], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    last = ""
    for line in process.stdout:
        print("    " + line, end="", flush=True)
        last = line.strip() or last
    return name, supports, release, f"{version}: {last}", process.wait() == 0


def main() -> int:
    found = ranges()
    names = [argument for argument in sys.argv[1:] if argument in found]
    ends = [argument for argument in sys.argv[1:] if argument in ("lowest", "latest")] or ["lowest", "latest"]
    unknown = set(sys.argv[1:]) - set(names) - set(ends)
    if unknown:
        print(f"no such instrumentation of a library: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    pythons = list(interpreters().items())
    by_end = {"lowest": pythons[0], "latest": pythons[-1]}
    lines = [attempt(name, found[name], end, *by_end[end]) for name in names or found for end in ends]
    print()
    for name, supports, release, outcome, passed in lines:
        print(f"{'ok    ' if passed else 'FAILED'} {name:18} {supports:14} {release:10} {outcome}")
    return 0 if all(passed for *_, passed in lines) else 1


if __name__ == "__main__":
    sys.exit(main())
