"""Django on its development server, with the statements of its own log, which have their parameters in them."""

# mypy: disable-error-code="import-untyped"

from __future__ import annotations

import logging
import sys

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path, re_path

settings.configure(
    # With this, Django logs its statements.
    DEBUG=True,
    SECRET_KEY="q7DjangoSecretKeyOfThisVeryTest",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    LOGGING_CONFIG=None,
)
django.setup()

from django.db import connection  # noqa: E402

import brakit  # noqa: E402
from tests.privacy.apps import actions  # noqa: E402

logging.getLogger("django.db.backends").setLevel(logging.DEBUG)


def work(request: HttpRequest, number: int) -> HttpResponse:
    plant = actions.PLANTS[number]
    if plant["channel"].startswith("sqlite"):
        with connection.cursor() as cursor:
            if plant["channel"] == "sqlite_literal":
                cursor.execute(f"SELECT 1 WHERE 'a' = '{plant['text']}'")
            else:
                cursor.execute("SELECT %s", (plant["text"],))
    actions.run(number)
    return HttpResponse("done")


def answer(request: HttpRequest, number: int) -> HttpResponse:
    body, content_type, headers = actions.answered(number)
    response = HttpResponse(body, content_type=content_type)
    for name, value in headers:
        if name == "Set-Cookie":
            key, _, rest = value.partition("=")
            response.set_cookie(key, rest.partition(";")[0], httponly=True, samesite="Lax")
        else:
            response[name] = value
    return response


def echo(request: HttpRequest, rest: str) -> HttpResponse:
    return HttpResponse(str(len(request.body)))


def flush(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(brakit.flush(20)))


echo.csrf_exempt = True  # type: ignore[attr-defined]
urlpatterns = [
    path("work/<int:number>", work),
    path("answer/<int:number>", answer),
    path("flush", flush),
    re_path("^echo/(?P<rest>.*)$", echo),
]


if __name__ == "__main__":
    from django.core.management import call_command

    sys.modules[settings.ROOT_URLCONF] = sys.modules["__main__"]
    call_command("runserver", f"127.0.0.1:{sys.argv[1]}", use_reloader=False, skip_checks=True)
