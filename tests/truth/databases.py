"""A PostgreSQL and a MariaDB of the test's own, which write down every statement that they get: the truth about queries.

Their data lies in a temporary folder, they listen on free ports, and they end with the test. Nothing of the machine's is touched.
"""

from __future__ import annotations

import csv
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pymysql
import pytest

from tests.line.processes import free_port

TABLE = "truth_item"
CREATE = "CREATE TABLE truth_item (id {serial} PRIMARY KEY, name varchar(80) NOT NULL)"
READY_S = 60
MESSAGE = 13
"""The column of PostgreSQL's csvlog that has the text (https://www.postgresql.org/docs/current/runtime-config-logging.html)."""
SESSION = 5
# `statement: …` over the simple protocol, `execute <name>: …` over the extended one; what a portal reads later is the same statement.
STATEMENT = re.compile(r"(?:statement|execute (?!fetch from )[^:]*): (.*)", re.DOTALL)


class Statement(NamedTuple):
    """One statement as the server got it, in the order of its session."""

    session: str
    text: str


class Server:
    """A process of a database server, run by its own user where we are root."""

    def __init__(self, name: str, user: str) -> None:
        # Not below pytest's folder, which is its user's alone.
        self.folder = Path(tempfile.mkdtemp(prefix=f"brakit-truth-{name}-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.rights: dict[str, Any] = {}
        if os.getuid() == 0:
            entry = pwd.getpwnam(user)
            self.rights = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)

    def run(self, *command: str) -> None:
        """Raises CalledProcessError, with what it said in the log."""
        with (self.folder / "setup.log").open("ab") as log:
            subprocess.run(
                command, check=True, cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, timeout=60, **self.rights
            )

    def start(self, *command: str) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **self.rights,
            )

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ready(self, attempt: type[Exception]) -> None:
        """Wait until the server takes connections, and make the table."""
        until = time.monotonic() + READY_S
        while True:
            try:
                self.prepare()
                return
            except attempt as error:
                assert self.process is not None
                if self.process.poll() is not None or time.monotonic() > until:
                    log = (self.folder / "server.log").read_text(errors="replace")
                    self.stop()
                    raise RuntimeError(f"{error}\n{log[-2000:]}") from None
                time.sleep(0.1)

    def prepare(self) -> None:
        raise NotImplementedError


class Postgres(Server):
    """PostgreSQL with `log_statement = all`."""

    def __init__(self, folder: Path) -> None:
        super().__init__("postgres", "postgres")
        data = str(self.folder / "data")
        self.address = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self.run(
            str(folder / "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"
        )  # fmt: skip
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "250",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "autovacuum": "off",
            "shared_buffers": "32MB",
            "logging_collector": "on",
            "log_destination": "csvlog",
            "log_directory": str(self.folder),
            "log_filename": "statements.log",
            "log_rotation_age": "0",
            "log_rotation_size": "0",
            "log_statement": "all",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self.start(str(folder / "postgres"), "-D", data, *options)
        self.read = 0
        self.ready(psycopg.OperationalError)

    def prepare(self) -> None:
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(CREATE.format(serial="serial"))

    def statements(self) -> list[Statement]:
        """Every statement since the last time. What a backend logs comes into the file in order: the last one is ours."""
        last = f"last_{uuid.uuid4().hex}"
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"SELECT 1 AS {last}")
        path = self.folder / "statements.csv"
        until = time.monotonic() + 20
        while last not in (text := self._rest(path)):
            assert time.monotonic() < until, "the log does not come to its end"
            time.sleep(0.05)
        self.read += len(text.encode())
        csv.field_size_limit(sys.maxsize)
        found = []
        for row in csv.reader(text.splitlines(keepends=True)):
            match = STATEMENT.match(row[MESSAGE]) if len(row) > MESSAGE else None
            if match:
                found.append(Statement(f"postgres {row[SESSION]}", match[1]))
        return found

    def _rest(self, path: Path) -> str:
        """The whole lines that have not been read yet."""
        with path.open("rb") as log:
            log.seek(self.read)
            whole, end, _ = log.read().rpartition(b"\n")
        return (whole + end).decode()

    def stop(self) -> None:
        # SIGINT is its fast shutdown: it ends the connections of others as well.
        if self.process is not None:
            self.process.send_signal(2)
        super().stop()


class MariaDB(Server):
    """MariaDB with its general log in a table."""

    def __init__(self, server: str, install: str) -> None:
        super().__init__("mariadb", "mysql")
        data = str(self.folder / "data")
        self.run(install, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db")
        self.start(
            server, "--no-defaults", f"--datadir={data}", "--bind-address=127.0.0.1", f"--port={self.port}",
            f"--socket={self.folder}/socket", f"--pid-file={self.folder}/pid", "--max-connections=250",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--log-output=TABLE", "--general-log=1",
        )  # fmt: skip
        self.ready(pymysql.Error)

    def prepare(self) -> None:
        connection = pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True)
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE truth")
            cursor.execute("USE truth")
            cursor.execute(CREATE.format(serial="integer AUTO_INCREMENT"))

    def statements(self) -> list[Statement]:
        """Every statement since the last time."""
        connection = pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True)
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT thread_id, convert(argument USING utf8mb4) FROM mysql.general_log WHERE command_type IN ('Query', 'Execute')"
            )
            found = [Statement(f"mariadb {thread}", text) for thread, text in cursor.fetchall()]
            cursor.execute("TRUNCATE TABLE mysql.general_log")
            return found


def postgres() -> Postgres:
    """A running server; skips where PostgreSQL's programs are not installed."""
    folders = [Path(found).parent for found in [shutil.which("initdb")] if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return Postgres(folder)
    pytest.skip("PostgreSQL's server is not installed: nobody to ask for the truth about queries")


def mariadb() -> MariaDB:
    """A running server; skips where MariaDB's programs are not installed."""
    server = shutil.which("mariadbd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    install = shutil.which("mariadb-install-db")
    if server is None or install is None:
        pytest.skip("MariaDB's server is not installed: nobody to ask for the truth about queries")
    return MariaDB(server, install)
