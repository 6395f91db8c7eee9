"""A Django project in one file: settings, a view, a filled SQLite in memory."""

# mypy: disable-error-code="import-untyped,misc"

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import django
from django.conf import settings

settings.configure(
    DEBUG=False,
    SECRET_KEY="corpus",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="tests.corpus.django_shop",
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "tests.corpus.django_app"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:corpus?mode=memory&cache=shared"}},
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "OPTIONS": {
                "loaders": [
                    (
                        "django.template.loaders.locmem.Loader",
                        {
                            "books.html": "{% for book in books %}{{ book.author.name }}{% endfor %}",
                            "shelves.html": "{% for shelf in shelves %}{% for book in shelf.books.all %}{{ book.title }}"
                            "{% endfor %}{% endfor %}",
                        },
                    )
                ]
            },
        }
    ],
    LOGGING_CONFIG=None,
    USE_TZ=True,
)
django.setup()

from django.db import connection  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

from tests.corpus.django_app.models import Author, Book, Shelf, Tag  # noqa: E402

MODELS = (Author, Shelf, Book, Tag)


@contextmanager
def filled() -> Iterator[None]:
    """Ten authors with two books each, on five shelves, every book with two of four tags."""
    with connection.schema_editor() as editor:
        for model in MODELS:
            editor.create_model(model)
    authors = Author.objects.bulk_create([Author(name=f"author {n}", biography="-" * 80) for n in range(10)])
    shelves = Shelf.objects.bulk_create([Shelf(label=f"shelf {n}") for n in range(5)])
    tags = Tag.objects.bulk_create([Tag(word=f"tag {n}") for n in range(4)])
    books = Book.objects.bulk_create([Book(title=f"book {n}", author=authors[n % 10], shelf=shelves[n % 5]) for n in range(20)])
    for number, tag in enumerate(tags):
        tag.books.set(books[number % 2 :: 2])
    try:
        yield
    finally:
        with connection.schema_editor() as editor:
            for model in reversed(MODELS):
                editor.delete_model(model)
        connection.close()


VIEWS: dict[str, object] = {}
"""The view of the case that runs, by its name."""


def view(request: HttpRequest, name: str) -> HttpResponse:
    answer = VIEWS[name](request)  # type: ignore[operator]
    return answer if isinstance(answer, HttpResponse) else HttpResponse(str(answer))


urlpatterns = [path("corpus/<str:name>", view)]
