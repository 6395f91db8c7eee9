"""`django.py`: statements of the ORM and of cursors, on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    Json = dict[str, Any]
    Run = Callable[..., list[Json]]

OWNED = """
owner, _, _ = context.request_owner(None, None)
before = context.enter(owner)
try:
    body()
finally:
    release_all(owner, current().buffer)
    context.enter(before)
"""

ORM = """
def body():
    list(Author.objects.filter(name__in=["a1", "a2", "a3"]))  # SELECT shop_author 3 Author
    Author.objects.get(id=1)  # SELECT shop_author 1 Author
    Author.objects.count()  # SELECT shop_author 1 Author
    Author.objects.filter(id=2).update(name="new")  # UPDATE shop_author 1 Author
    Author.objects.create(name="one")  # INSERT shop_author 1 Author
    with transaction.atomic():
        Author.objects.bulk_create([Author(name="two"), Author(name="three")], batch_size=1)  # INSERT shop_author 1 Author twice
    Book.objects.order_by("id")[0].author  # SELECT shop_book 1 Book, SELECT shop_author 1 Author
    len(Author.objects.raw("SELECT * FROM shop_author WHERE id < %s", [4]))  # SELECT shop_author 3 None
    for author in Author.objects.order_by("id").iterator(chunk_size=2):  # SELECT shop_author 4 Author
        if author.id == 3:
            break
    list(Author.objects.filter(id__lt=4).prefetch_related("books"))  # SELECT shop_author 3 Author, SELECT shop_book 9 Book
    Author.objects.filter(id=-1).first()  # SELECT shop_author 0 Author
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> dict[str, str]:
    return {} if request.param == "sqlite" else {"SCHEMA": request.getfixturevalue("schema")}


def queries(events: list[Json]) -> list[Json]:
    """The statements in the order of their start, without what opens transactions and connections."""
    found = [event for event in events if event["type"] == "db.query"]
    found.sort(key=lambda event: event["timestamp"])
    return [event for event in found if event["data"]["table"].startswith("shop_")]


def expected(code: str) -> list[tuple[int, str]]:
    """What the comments of `code` say, with the numbers of their lines in it."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(code.splitlines()):
        said = line.partition("  # ")[2]
        times = 2 if said.endswith(" twice") else 1
        lines += [(number, one) for one in said.removesuffix(" twice").split(", ") if one] * times
    return lines


def test_the_orm(run: Run, backend: dict[str, str]) -> None:
    # The second time with the cursors of the debug mode, whose own log has the same statements.
    again = """
current().flush(5)
Author.objects.filter(id__gt=10).delete()
Author.objects.filter(id=2).update(name="a2")
connection.force_debug_cursor = True
"""
    counted = """
logged = [query["sql"] for query in connection.queries_log if not query["sql"].startswith(("BEGIN", "COMMIT"))]
assert len(logged) == 14, logged
"""
    events = queries(run(ORM + OWNED + again + OWNED + counted, **backend))
    found = [event for event in events if "parentId" in event]
    half = len(found) // 2
    assert [event["data"]["sql"] for event in found[:half]] == [event["data"]["sql"] for event in found[half:]]
    assert len(events) == len(found) + 4
    found = found[:half]
    first = found[0]["data"]["callsite"]["line"] - 2
    seen = [
        (data["callsite"]["line"] - first, " ".join(str(data.get(key)) for key in ("operation", "table", "rowCount", "model")))
        for data in (event["data"] for event in found)
    ]
    assert seen == expected(ORM)
    assert {event["data"]["callsite"]["function"] for event in found} == {"body"}
    assert {(event["data"]["source"], event["data"]["system"]) for event in found} == {
        ("django", "postgresql" if backend else "sqlite")
    }
    assert len({event["data"]["connectionId"] for event in found}) == 1
    assert {len(event["data"]["paramsHash"]) for event in found} == {16}
    # The savepoint's and the transaction's own: of all others each is for itself.
    inside = [event["data"]["transactionId"] for event in found if "transactionId" in event["data"]]
    assert len(inside) == 2
    assert len(set(inside)) == 1
    assert len({event["parentId"] for event in found}) == 1


CURSORS = """
import json
def wrapper(execute, sql, params, many, context):
    calls.append(sql)
    return execute(sql, params, many, context)
def blocker(execute, sql, params, many, context):
    raise RuntimeError("blocked")
calls = []
def body():
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM shop_author ORDER BY id")
        assert cursor.fetchone() == (1,)
        assert len(cursor.fetchmany(3)) == 3
        assert len(cursor.fetchall()) == 6
        cursor.execute("SELECT id FROM shop_author")
        assert len([row for row in cursor]) == 10
        cursor.executemany("INSERT INTO shop_author (name) VALUES (%s)", [["x"], ["y"], ["z"]])
        cursor.execute("UPDATE shop_author SET name = name WHERE id < 4")
        assert cursor.rowcount == 3
    with connection.execute_wrapper(wrapper):
        Author.objects.get(id=1)
    with connection.execute_wrapper(blocker):
        try:
            Author.objects.get(id=1)
        except RuntimeError:
            pass
    seen = None
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO shop_author (name) VALUES ('a1')")
    except Exception as error:
        seen = error
    assert type(seen).__name__ == "IntegrityError", seen
    assert type(seen.__cause__).__module__ in ("sqlite3", "psycopg.errors")
    assert len(calls) == 1 and len(connection.execute_wrappers) == 0
body()
current().flush(5)
Author.objects.filter(id=1).update(name="outside")
"""


def test_cursors_wrappers_and_failures(run: Run, backend: dict[str, str]) -> None:
    found = [event["data"] for event in queries(run(CURSORS + OWNED.replace("body()", "pass"), **backend))]
    assert [(data["operation"], data.get("rowCount"), data.get("batchSize")) for data in found] == [
        ("SELECT", 10, None),
        ("SELECT", 10, None),
        ("INSERT", 3, 3),
        ("UPDATE", 3, None),
        ("SELECT", 1, None),
        ("INSERT", None, None),
        ("UPDATE", 1, None),
    ]
    assert {data["callsite"]["function"] for data in found[:-1]} == {"body"}
    assert found[5]["error"].startswith("IntegrityError: ")
    assert "a1" not in found[5]["sql"]
    assert found[5]["transactionId"]


COMPOSED = """
from psycopg import sql
def body():
    with connection.cursor() as cursor:
        parts = [sql.Literal("secret"), sql.Identifier("shop_author"), sql.Placeholder()]
        cursor.execute(sql.SQL("SELECT {}, name FROM {} WHERE id = {}").format(*parts), [1])
        assert cursor.fetchall() == [("secret", "a1")]
        cursor.execute(sql.SQL("SELECT name FROM shop_author WHERE id = %(id)s"), {"id": 1})
        assert cursor.fetchall() == [("a1",)]
        cursor.callproc("abs", [-1])
        assert cursor.fetchone() == (1,)
"""


def test_statements_that_are_put_together(run: Run, schema: str) -> None:
    found = [event["data"] for event in run(COMPOSED + OWNED, SCHEMA=schema) if event.get("parentId")]
    assert [(data["sql"], data["table"], data["rowCount"]) for data in found] == [
        ('SELECT ?, name FROM "shop_author" WHERE id = %s', "shop_author", 1),
        ("SELECT name FROM shop_author WHERE id = %(id)s", "shop_author", 1),
        ("CALL abs", "", 1),
    ]


ASYNC = """
import asyncio
async def body():
    await Author.objects.aget(id=1)
    [author async for author in Author.objects.filter(id__lt=3)]
    await asyncio.gather(*[Author.objects.filter(id=n).acount() for n in range(3)])
async def main():
    async def one(n):
        owner, _, _ = context.request_owner(None, None)
        context.enter(owner)
        await body()
        release_all(owner, current().buffer)
    await asyncio.gather(*[asyncio.create_task(one(n)) for n in range(4)])
    from asgiref.sync import sync_to_async
    await sync_to_async(lambda: connection.close())()
asyncio.run(main())
"""


def test_the_async_orm_has_the_line_that_waits(run: Run, backend: dict[str, str]) -> None:
    found = queries(run(ASYNC, **backend))
    assert len(found) == 20
    owners = [event["parentId"] for event in found]
    assert [owners.count(owner) for owner in set(owners)] == [5, 5, 5, 5]
    # What `gather` makes a task of has no line of the app's above it.
    lines = sorted(event["data"]["callsite"]["line"] for event in found if "callsite" in event["data"])
    assert lines == [lines[0]] * 4 + [lines[0] + 1] * 4


SQLITE_AND_US = """
import logging
def names():
    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper
    import django.core.handlers.wsgi, django.core.handlers.asgi, django.core.handlers.base, django.core.signals, django.test.client
    import django.contrib.auth.mixins, django.contrib.auth.decorators, django.contrib.auth.middleware, django.contrib.auth.models
    import django.contrib.auth, django.views.generic.base, django.core.management.base, rest_framework.views, rest_framework.request
    import asgiref.sync
    from django.contrib.contenttypes import fields as generic
    from django.db.models import query_utils
    from django.db.models.fields import related_descriptors as related
    holders = [CursorWrapper, BaseDatabaseWrapper, django.core.handlers.wsgi.WSGIHandler, django.core.handlers.asgi.ASGIHandler,
        django.core.handlers.base.BaseHandler, django.test.client.ClientHandler, django.test.client.AsyncClientHandler,
        django.contrib.auth, django.contrib.auth.decorators, django.contrib.auth.mixins.LoginRequiredMixin,
        django.contrib.auth.models.PermissionsMixin, django.views.generic.base.View, django.core.management.base.BaseCommand,
        rest_framework.views.APIView, rest_framework.request.Request, asgiref.sync.SyncToAsync, query_utils.DeferredAttribute,
        related, related.ForwardManyToOneDescriptor, related.ReverseOneToOneDescriptor, generic, generic.GenericForeignKey]
    signals = [len(s.receivers) for s in (django.core.signals.got_request_exception, django.contrib.auth.user_logged_in)]
    return [{name: value for name, value in vars(holder).items() if callable(value)} for holder in holders], signals
def different(before, after):
    return [n for a, b in zip(before, after) for n in {*a, *b} if a.get(n) is not b.get(n)]
"""
LATE = (
    SQLITE_AND_US
    + """
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
before, signals = names()
import brakit
from brakit.client import current
during, more = names()
assert len(different(before, during)) > 32, different(before, during)
assert more > signals, (signals, more)
Author.objects.count()
brakit.shutdown()
after, rest = names()
assert different(before, after) == [], different(before, after)
assert rest == signals
Author.objects.count()
"""
)


def test_an_import_after_django_works_and_everything_comes_back(py: Any, sink: Any, project: Any) -> None:
    code = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
import django
django.setup()
from shop.models import Author
"""
    ran = py(code + LATE, BRAKIT_PORT=str(sink.port))
    assert ran.rc == 0, ran.stderr
    assert [event["data"]["rowCount"] for event in queries(sink.events)] == [1]
