"""The models of the Django cases: books by authors on shelves, with tags."""

# mypy: disable-error-code="import-untyped,misc"

from __future__ import annotations

from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=80)
    biography = models.TextField(default="")

    class Meta:
        db_table = "author"


class Shelf(models.Model):
    label = models.CharField(max_length=80)

    class Meta:
        db_table = "shelf"


class Book(models.Model):
    title = models.CharField(max_length=80)
    author = models.ForeignKey(Author, models.CASCADE, related_name="books")
    shelf = models.ForeignKey(Shelf, models.CASCADE, related_name="books")
    sold = models.IntegerField(default=0)

    class Meta:
        db_table = "book"


class Tag(models.Model):
    word = models.CharField(max_length=80, unique=True)
    books = models.ManyToManyField(Book, related_name="tags", db_table="book_tag")

    class Meta:
        db_table = "tag"
