"""Django's ORM in views and templates of a real project."""

# mypy: disable-error-code="import-untyped,attr-defined,no-any-return"

from __future__ import annotations

from django.db import IntegrityError, connection, transaction
from django.db.models import Count, F, Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tests.corpus import django_shop  # noqa: F401  # sets Django up, which the models need
from tests.corpus.cases import Family
from tests.corpus.django_app.models import Author, Book, Shelf, Tag
from tests.corpus.hosts import Django

case = Family("django", Django())
FAMILIES = [case]


@case(expect={"n1": "author"})
def foreign_key(request: HttpRequest) -> str:
    return ", ".join(book.author.name for book in Book.objects.all())  # here: n1


@case(expect={"n1": "book"})
def reverse_set(request: HttpRequest) -> int:
    return sum(len(shelf.books.all()) for shelf in Shelf.objects.all())  # here: n1


@case(expect={"n1": "author"})
def in_a_template(request: HttpRequest) -> HttpResponse:
    return render(request, "books.html", {"books": Book.objects.all()})


@case(expect={"n1": "book"})
def set_in_a_template(request: HttpRequest) -> HttpResponse:
    return render(request, "shelves.html", {"shelves": Shelf.objects.all()})


@case(expect={"n1": "tag"})
def many_to_many(request: HttpRequest) -> list[list[str]]:
    return [[tag.word for tag in book.tags.all()] for book in Book.objects.all()[:8]]  # here: n1


@case(expect={"n1": "author"})
def deferred(request: HttpRequest) -> int:
    return sum(len(author.biography) for author in Author.objects.defer("biography"))  # here: n1


@case(expect={"n1": "author"})
def only(request: HttpRequest) -> int:
    return sum(len(author.name) for author in Author.objects.only("id"))  # here: n1


@case(expect={"n1": "author"})
def get_in_a_loop(request: HttpRequest) -> list[str]:
    return [Author.objects.get(pk=number).name for number in Author.objects.values_list("pk", flat=True)]  # here: n1


@case(expect={"n1": "book"})
def count_of_each(request: HttpRequest) -> list[int]:
    return [author.books.count() for author in Author.objects.all()]  # here: n1


@case(expect={"n1": "book"})
def exists_for_each(request: HttpRequest) -> list[bool]:
    return [author.books.filter(sold=0).exists() for author in Author.objects.all()]  # here: n1


@case(expect={"n1": "book"}, trap="prefetched, but filtered again: the prefetch is for nothing")
def filtered_after_prefetch(request: HttpRequest) -> list[int]:
    authors = Author.objects.prefetch_related("books")
    return [len(author.books.filter(sold=0)) for author in authors]  # here: n1


@case(expect={"n1": "book"})
def save_in_a_loop(request: HttpRequest) -> str:
    with transaction.atomic():
        for book in Book.objects.all():
            book.sold += 1
            book.save(update_fields=["sold"])  # here: n1
    return "saved"


@case(expect={"n1": "tag"})
def create_in_a_loop(request: HttpRequest) -> str:
    with transaction.atomic():
        for number in range(8):
            Tag.objects.create(word=f"new {number}")  # here: n1
    return "created"


@case(expect={"n1": ("tag", "tag")}, trap="two statements of one line: a SELECT and an INSERT each")
def get_or_create_in_a_loop(request: HttpRequest) -> str:
    with transaction.atomic():
        for number in range(8):
            Tag.objects.get_or_create(word=f"new {number}")  # here: n1
    return "created"


@case(expect={"n1": "author"}, trap="the loop is in a method of the model, its caller goes over rows")
def behind_a_method(request: HttpRequest) -> list[str]:
    def title(book: Book) -> str:
        return f"{book.title} by {book.author.name}"  # here: n1

    return [title(book) for book in Book.objects.all()]


@case(expect={"redundant-query": "author"})
def first_again(request: HttpRequest) -> str:
    def owner() -> str:
        return Author.objects.get(pk=1).name

    return f"{owner()} {Book.objects.count()} {owner()}"


@case(expect={"redundant-query": "shelf"}, trap="a query set is evaluated anew at each use")
def query_set_twice(request: HttpRequest) -> int:
    shelves = Shelf.objects.filter(pk__lt=9)
    return len(list(shelves.all())) + len(list(shelves.all()))


@case(expect={"n1": "author"})
def raw_cursor(request: HttpRequest) -> str:
    with connection.cursor() as cursor:
        for number in range(1, 9):
            cursor.execute("SELECT name FROM author WHERE id = %s", [number])  # here: n1
    return "read"


@case(trap="select_related")
def with_select_related(request: HttpRequest) -> str:
    return ", ".join(f"{book.author.name} {book.shelf.label}" for book in Book.objects.select_related("author", "shelf"))


@case(trap="prefetch_related, on three levels")
def with_prefetch_related(request: HttpRequest) -> int:
    shelves = Shelf.objects.prefetch_related("books__tags", "books__author")
    return sum(len(book.tags.all()) for shelf in shelves for book in shelf.books.all())


@case(trap="Prefetch with a filter of its own")
def with_prefetch_object(request: HttpRequest) -> int:
    unsold = Prefetch("books", queryset=Book.objects.filter(sold=0), to_attr="unsold")
    return sum(len(author.unsold) for author in Author.objects.prefetch_related(unsold))


@case(trap="an iterator that prefetches chunk by chunk")
def iterator_with_prefetch(request: HttpRequest) -> int:
    return sum(len(author.books.all()) for author in Author.objects.prefetch_related("books").iterator(chunk_size=3))


@case(trap="annotated")
def annotated(request: HttpRequest) -> list[int]:
    return [author.number for author in Author.objects.annotate(number=Count("books"))]


@case(trap="bulk_create in batches")
def bulk_create(request: HttpRequest) -> int:
    return len(Tag.objects.bulk_create([Tag(word=f"new {number}") for number in range(90)], batch_size=20))


@case(trap="bulk_update in batches: the texts have as many CASE branches as rows")
def bulk_update(request: HttpRequest) -> int:
    books = list(Book.objects.all())
    for book in books:
        book.sold = book.pk
    return Book.objects.bulk_update(books, ["sold"], batch_size=5)


@case(trap="one UPDATE of all")
def updated_at_once(request: HttpRequest) -> int:
    return Book.objects.update(sold=F("sold") + 1)


@case(trap="in_bulk over chunks of keys")
def in_bulk(request: HttpRequest) -> int:
    keys = list(Book.objects.values_list("pk", flat=True))
    return sum(len(Book.objects.in_bulk(keys[first : first + 6])) for first in range(0, 20, 6))


@case(trap="pages of a paginator: a count and one page")
def paginator(request: HttpRequest) -> int:
    from django.core.paginator import Paginator

    return len(Paginator(Book.objects.order_by("pk"), 5).page(2).object_list)


@case(trap="every page of a paginator, on purpose")
def all_pages(request: HttpRequest) -> int:
    from django.core.paginator import Paginator

    pages = Paginator(Book.objects.order_by("pk"), 5)
    return sum(len(page.object_list) for page in pages)


@case(trap="refresh after a write by the database")
def refresh_from_db(request: HttpRequest) -> int:
    book = Book.objects.get(title="book 1")
    Book.objects.filter(pk=book.pk).update(sold=F("sold") + 1)
    book.refresh_from_db()
    Book.objects.filter(pk=book.pk).update(sold=F("sold") + 1)
    book.refresh_from_db()
    return int(book.sold)


@case(trap="nested atomic blocks, one of which fails")
def nested_atomic(request: HttpRequest) -> str:
    with transaction.atomic():
        for number in range(4):
            try:
                with transaction.atomic():
                    Tag.objects.create(word=f"tag {number}")
            except IntegrityError:
                continue
    return "kept"


@case(trap="a detail page: one object and its relations")
def detail(request: HttpRequest) -> str:
    book = Book.objects.get(title="book 3")
    return f"{book.author.name} {book.shelf.label} {[tag.word for tag in book.tags.all()]}"


@case(trap="the relation was assigned, not loaded")
def assigned(request: HttpRequest) -> list[str]:
    authors = {author.pk: author for author in Author.objects.all()}
    books = list(Book.objects.all())
    for book in books:
        book.author = authors[book.author_id]
    return [book.author.name for book in books]
