"""`_django_transactions.py`: begins, commits, rollbacks and savepoints, on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = dict[str, Any]
    Run = Callable[..., list[Json]]


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def backend(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == "sqlite":
        return {}
    if request.param == "postgresql":
        return {"SCHEMA": request.getfixturevalue("schema")}
    return {"MARIADB": request.getfixturevalue("database")}


def told(events: list[Json]) -> list[str]:
    """Each statement by its mark or its operation, with the number of its transaction."""
    names: dict[str, int] = {}
    said = []
    for event in sorted(events, key=lambda event: event["timestamp"]):
        data = event["data"]
        if event["type"] != "db.query" or "parentId" not in event:
            continue
        name = data.get("transactionId")
        number = "-" if name is None else str(names.setdefault(name, len(names) + 1))
        said.append(f"{data.get('transactionMark', data['operation'])} {number}{' failed' if data.get('error') else ''}")
    return said


TRANSACTIONS = """
owner, _, _ = context.request_owner(None, None)
before = context.enter(owner)
with transaction.atomic():
    Author.objects.create(name="x1")
    with transaction.atomic():
        Author.objects.create(name="x2")
    try:
        with transaction.atomic():
            Author.objects.create(name="x1")
    except Exception:
        pass
try:
    with transaction.atomic():
        Author.objects.create(name="x3")
        raise ZeroDivisionError
except ZeroDivisionError:
    pass
transaction.set_autocommit(False)
Author.objects.create(name="x4")
transaction.commit()
transaction.commit()
Author.objects.create(name="x5")
transaction.rollback()
transaction.set_autocommit(True)
Author.objects.count()
names = set(Author.objects.values_list("name", flat=True))
assert names & {"x1", "x2", "x3", "x4", "x5"} == {"x1", "x2", "x4"}, names
release_all(owner, current().buffer)
context.enter(before)
connection.close()
"""


def test_what_atomic_does(run: Run, backend: dict[str, str]) -> None:
    events = run(TRANSACTIONS, **backend)
    begin = [] if backend else ["begin 1"]
    assert told(events) == [
        *(*begin, "INSERT 1", "savepoint 1", "INSERT 1", "release 1"),
        *("savepoint 1", "INSERT 1 failed", "rollback_to 1", "release 1", "commit 1"),
        *(*([] if backend else ["begin 2"]), "INSERT 2", "rollback 2"),
        *("INSERT 3", "commit 3", "INSERT 4", "rollback 4"),
        *("SELECT -", "SELECT -"),
    ]
    commits = [event["data"] for event in events if event["data"].get("transactionMark") == "commit" and "parentId" in event]
    inserted = next(event["data"] for event in events if event["data"].get("operation") == "INSERT" and "parentId" in event)
    assert [data["sql"] for data in commits] == ["COMMIT"] * 2
    assert commits[0]["connectionId"] == inserted["connectionId"]
    # Where the block is left: its first line.
    assert commits[0]["callsite"]["line"] == inserted["callsite"]["line"] - 1
    assert {data["source"] for data in commits} == {"django"}
    assert {data["system"] for data in commits} == {"mariadb" if "MARIADB" in backend else "postgresql" if backend else "sqlite"}


EMPTY = """
owner, _, _ = context.request_owner(None, None)
before = context.enter(owner)
with transaction.atomic():
    pass
seen = None
try:
    with transaction.atomic():
        Book.objects.create(author_id=99999, title="nobody's")
        with connection.cursor() as cursor:
            pass
except Exception as error:
    seen = error
assert type(seen).__name__ == "IntegrityError", seen
assert transaction.get_autocommit()
try:
    with transaction.atomic():
        transaction.commit()
except transaction.TransactionManagementError:
    pass
release_all(owner, current().buffer)
context.enter(before)
"""


def test_empty_ones_and_commits_that_fail(run: Run, backend: dict[str, str]) -> None:
    expected = {
        "": [
            *("begin 1", "commit 1", "begin 2", "INSERT 2", "commit 2 failed", "rollback 2"),
            # The BEGIN has been sent.
            *("begin 3", "rollback 3"),
        ],
        "SCHEMA": ["INSERT 1", "commit 1 failed"],
        # Its constraints cannot be deferred.
        "MARIADB": ["INSERT 1 failed", "rollback 1"],
    }
    assert told(run(EMPTY, **backend)) == expected["".join(backend)]


DRIVER = """
owner, _, _ = context.request_owner(None, None)
before = context.enter(owner)
with transaction.atomic():
    connection.connection.cursor().execute("SELECT 1")
    Author.objects.create(name="x1")
with transaction.atomic():
    connection.connection.cursor().execute("SELECT 1")
Author.objects.create(name="x2")
release_all(owner, current().buffer)
context.enter(before)
"""


@pytest.mark.parametrize("backend", ["postgresql", "mariadb"], indirect=True)
def test_a_driver_below_is_silent_where_django_speaks(run: Run, backend: dict[str, str]) -> None:
    events = run(DRIVER, **backend)
    found = [event["data"] for event in sorted(events, key=lambda event: event["timestamp"]) if "parentId" in event]
    driver = "pymysql" if "MARIADB" in backend else "psycopg"
    assert [(data["source"], data.get("transactionMark", data["operation"])) for data in found] == [
        *((driver, "SELECT"), ("django", "INSERT"), ("django", "commit")),
        *((driver, "SELECT"), (driver, "commit")),
        ("django", "INSERT"),
    ]


POOL = """
import threading
from django.conf import settings
from django.db import close_old_connections
def work():
    Author.objects.count()
    held.set()
    release.wait(5)
    connection.close()
held, release = threading.Event(), threading.Event()
thread = threading.Thread(target=work)
connection.close()
thread.start()
held.wait(5)
owner, _, _ = context.request_owner(None, None)
before = context.enter(owner)
threading.Timer(0.05, release.set).start()
Author.objects.count()
release_all(owner, current().buffer)
context.enter(before)
thread.join()
connection.close()
connection.close_pool()
"""


def test_the_wait_for_djangos_pool(run: Run, schema: str) -> None:
    pytest.importorskip("psycopg_pool")
    if tuple(map(int, importlib.metadata.version("django").split(".")[:2])) < (5, 1):
        pytest.skip("Django has no pools before 5.1")
    imports = "import brakit, django; from django.conf import settings; "
    imports += "settings.DATABASES['default']['OPTIONS']['pool'] = {'min_size': 1, 'max_size': 1}"
    events = run(POOL, imports=imports, SCHEMA=schema)
    waits = [event for event in events if event["type"] == "span" and "parentId" in event]
    assert [event["data"]["name"] for event in waits] == ["wait for a connection"]
    assert waits[0]["data"]["attributes"] == {"system": "postgresql", "source": "psycopg"}
    assert waits[0]["data"]["duration"] >= 30
    assert waits[0]["data"]["callsite"]["file"].endswith(".py")
