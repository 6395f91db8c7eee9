"""A small real project, run in fresh interpreters: Django's settings are those of the process, and must not be the test run's."""

from __future__ import annotations

import contextlib
import signal
import socket
import uuid
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from .shop import API, COMMANDS, FILL, HEAD, MODELS, SERVE, SETTINGS, TAIL, URLS, VIEWS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Json = dict[str, Any]
    Run = Callable[..., list[Json]]


class Site:
    """The project behind a real server, and what it sent."""

    def __init__(self, process: subprocess.Popen[str], sink: Any) -> None:
        assert process.stdout is not None
        self.process = process
        self.sink = sink
        line = process.stdout.readline()
        assert line.strip().isdigit(), process.communicate()[1]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{line.strip()}", timeout=10)

    def stop(self) -> list[Json]:
        """End the server; everything that it sent."""
        self.http.close()
        self.process.send_signal(signal.SIGINT)
        _, stderr = self.process.communicate(timeout=10)
        assert "failures" not in stderr, stderr
        events: list[Json] = self.sink.events
        return events


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the project in it."""
    files = {"settings.py": SETTINGS, "shop/models.py": MODELS, "shop/views.py": VIEWS, "shop/api.py": API, "shop/urls.py": URLS}
    files |= {f"shop/management/commands/{name}.py": code for name, code in COMMANDS.items()}
    files |= {"shop/__init__.py": "", "shop/static/page.txt": "a page"}
    for name, code in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
    return tmp_path


@pytest.fixture
def run(py: Any, sink: Any, project: Path) -> Run:
    """`run(code)`: in the project, with a filled database and brakit imported first; all events. None of ours may have failed."""

    def run(
        code: str, *args: str, imports: str = "import brakit, django", fill: str = FILL, rc: int = 0, **env: str
    ) -> list[Json]:
        ran = py(HEAD.format(imports=imports) + fill + code + TAIL, *args, BRAKIT_PORT=str(sink.port), **env)
        assert ran.rc == rc, ran.stderr
        events: list[Json] = sink.events
        return events

    return run


@pytest.fixture
def serve(py: Any, sink: Any, project: Path) -> Callable[..., Site]:
    """`serve("wsgi")`: the project behind waitress or uvicorn."""

    def serve(kind: str, **env: str) -> Site:
        code = HEAD.format(imports="import brakit, django") + FILL + SERVE[kind] + "\nif current().failures.counts:\n"
        code += "    print('failures', current().failures.first, file=sys.stderr)\n"
        return Site(py.start(code, BRAKIT_PORT=str(sink.port), **env), sink)

    return serve


@pytest.fixture
def database() -> Iterator[str]:
    """The name of an empty database in MariaDB; skips where there is none."""
    pymysql = pytest.importorskip("pymysql")
    try:
        socket.create_connection(("127.0.0.1", 3306), timeout=2).close()
    except OSError as error:
        pytest.skip(f"no MariaDB on 127.0.0.1:3306 ({error})")
    name = f"django_{uuid.uuid4().hex[:12]}"
    connection: Any = pymysql.connect(host="127.0.0.1", user="root")
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        yield name
        cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture
def schema() -> Iterator[str]:
    """The name of an empty schema in PostgreSQL; skips where there is none."""
    psycopg = pytest.importorskip("psycopg")
    try:
        socket.create_connection(("127.0.0.1", 5432), timeout=2).close()
    except OSError as error:
        pytest.skip(f"no PostgreSQL on 127.0.0.1:5432 ({error})")
    name = f"django_{uuid.uuid4().hex[:12]}"
    with psycopg.connect("postgresql://postgres@127.0.0.1:5432/test", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
        yield name
        connection.execute(f"DROP SCHEMA {name} CASCADE")
