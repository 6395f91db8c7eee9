"""What the apps on Django have in common: settings, a model, work through the ORM, and the views of each style."""

# mypy: disable-error-code="import-untyped,misc"

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import django
from asgiref.sync import async_to_sync
from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

_address = urlsplit(os.environ["TRUTH_POSTGRES"])
settings.configure(
    DEBUG=False,
    SECRET_KEY="truth",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="tests.truth.apps.urls",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "postgres",
            "HOST": _address.hostname,
            "PORT": _address.port,
        }
    },
    LOGGING_CONFIG=None,
    USE_TZ=True,
)
django.setup()

from django.db import connection, connections, models, transaction  # noqa: E402

from tests.truth.apps.async_work import AsyncWork  # noqa: E402
from tests.truth.apps.styles import Async, Once, Sync  # noqa: E402
from tests.truth.apps.sync_work import INSERT, Work  # noqa: E402


class Item(models.Model):
    name = models.CharField(max_length=80)

    class Meta:
        app_label = "truth"
        managed = False
        db_table = "truth_item"


class OrmWork(Work):
    """The sync work, and the ORM."""

    queries = ("orm", *Work.queries)

    def orm(self) -> None:
        list(Item.objects.annotate(**{self.token("orm"): models.Value(1)})[:3])
        with transaction.atomic():
            Item.objects.aggregate(**{self.token("orm", 2): models.Max("id")})
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(INSERT + self.token("orm", 3), ("a",))

    def some(self) -> None:
        """Where this is no thread of Django's, nobody else closes the thread's connection."""
        with self:
            self._some()
            if not self.name.startswith("a"):
                connections.close_all()


class AsyncOrmWork(AsyncWork):
    queries = ("orm", *AsyncWork.queries)

    async def orm(self) -> None:
        async for _ in Item.objects.annotate(**{self.token("orm"): models.Value(1)})[:3]:
            pass
        await Item.objects.aaggregate(**{self.token("orm", 2): models.Max("id")})


sync, later, once = Sync(OrmWork), Async(AsyncOrmWork, OrmWork), Once()


class Closing(HttpResponse):
    """Does something when the server is through with it."""

    def __init__(self, text: str, work: Callable[[], Any]) -> None:
        super().__init__(text)
        self.work = work

    def close(self) -> None:
        super().close()
        self.work()


def plain(request: HttpRequest, marker: str) -> HttpResponse:
    return HttpResponse(sync.plain(marker))


async def once_async(request: HttpRequest, marker: str) -> HttpResponse:
    return HttpResponse(await once.plain(marker))


async def once_gather(request: HttpRequest, marker: str) -> HttpResponse:
    return HttpResponse(await once.gather(marker))


def pool(request: HttpRequest, marker: str) -> HttpResponse:
    return HttpResponse(sync.pool(marker))


def thread(request: HttpRequest, marker: str) -> HttpResponse:
    return HttpResponse(sync.thread(marker))


def after(request: HttpRequest, marker: str) -> HttpResponse:
    return Closing(marker, sync.after(marker))


def stream(request: HttpRequest, marker: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(sync.stream(marker))


def error(request: HttpRequest, marker: str) -> HttpResponse:
    return HttpResponse(sync.error(marker))


async def plain_async(request: HttpRequest, marker: str) -> HttpResponse:
    return HttpResponse(await later.plain(marker))


async def gather_async(request: HttpRequest, marker: str) -> HttpResponse:
    return HttpResponse(await later.gather(marker))


async def pool_async(request: HttpRequest, marker: str) -> HttpResponse:
    return HttpResponse(await later.pool(marker))


async def thread_async(request: HttpRequest, marker: str) -> HttpResponse:
    return HttpResponse(await later.thread(marker))


async def after_async(request: HttpRequest, marker: str) -> HttpResponse:
    return Closing(marker, async_to_sync(await later.after(marker)))


async def stream_async(request: HttpRequest, marker: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(await later.stream(marker))


async def leave_async(request: HttpRequest, marker: str) -> StreamingHttpResponse:
    return StreamingHttpResponse(later.leave(marker))


async def error_async(request: HttpRequest, marker: str) -> HttpResponse:
    return HttpResponse(await later.error(marker))
