"""Django's lazy loads: which attribute of which class has sent a statement by its first use.

Told by the descriptors that load one object (foreign keys, one-to-one relations from both sides, generic foreign keys, deferred fields)
while they do, and by the managers of related objects, whose `all()` is known again by its query when it is evaluated. What the app goes
on to filter, count or order is its own question and no lazy load; what is prefetched does not come here.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from brakit.instrumentations._driver import Beside
from brakit.instrumentations._orm import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

RELATED = "django.db.models.fields.related_descriptors"
GENERIC = "django.contrib.contenttypes.fields"


class Load:
    """An attribute that is being loaded, and how many statements may come of it: what a signal's receiver asks then is its own."""

    __slots__ = ("label", "left", "outer")

    def __init__(self, label: str, left: int, outer: Load | None) -> None:
        self.label = label
        self.left = left
        self.outer = outer


loading: ContextVar[Load | None] = ContextVar("brakit_django_load", default=None)


class Loads:
    def __init__(self) -> None:
        # Labels by the query of `all()`; what is derived from one is another.
        self.lists = Beside()

    def arm(self, patch: Patches) -> None:
        patch.when(RELATED, RELATED, self.related, patch)
        patch.when("django.db.models.query_utils", "django.db.models.query_utils:DeferredAttribute", self.deferred, patch)
        patch.when(GENERIC, GENERIC, self.generic, patch)

    def label(self, query: Any) -> str | None:
        """Class and attribute that this query of the ORM loads, if one does."""
        load = loading.get()
        if load is not None and load.left > 0:
            load.left -= 1
            return load.label
        label: str | None = self.lists.get(query) if self.lists.entries else None
        return label

    def related(self, patch: Patches) -> None:
        module = sys.modules[RELATED]
        forward, reverse = module.ForwardManyToOneDescriptor, module.ReverseOneToOneDescriptor
        patch.hook(forward, "get_object", f"{RELATED}:ForwardManyToOneDescriptor.get_object", self.forward, done, done)
        patch.hook(reverse, "__get__", f"{RELATED}:ReverseOneToOneDescriptor.__get__", self.reverse, done, done)
        for name in ("create_reverse_many_to_one_manager", "create_forward_many_to_many_manager"):
            patch.wrap(module, name, f"{RELATED}:{name}", self.making(patch, name.startswith("create_reverse")))

    def deferred(self, patch: Patches) -> None:
        attribute = sys.modules["django.db.models.query_utils"].DeferredAttribute
        place = "django.db.models.query_utils:DeferredAttribute.__get__"
        patch.hook(attribute, "__get__", place, self.field, done, done)

    def generic(self, patch: Patches) -> None:
        module = sys.modules[GENERIC]
        # A descriptor of its own from Django 6.1 on.
        holder = getattr(module, "GenericForeignKeyDescriptor", module.GenericForeignKey)
        patch.hook(holder, "__get__", f"{GENERIC}:{holder.__name__}.__get__", self.generic_key, done, done)
        name = "create_generic_related_manager"
        patch.wrap(module, name, f"{GENERIC}:{name}", self.making(patch, False))

    # One object.

    def forward(self, descriptor: Any, instance: Any) -> Load:
        return begin(instance, descriptor.field.name)

    def reverse(self, descriptor: Any, instance: Any, _cls: Any = None) -> Load | None:
        if instance is None or descriptor.related.is_cached(instance):
            return None
        return begin(instance, descriptor.related.get_accessor_name())

    def field(self, descriptor: Any, instance: Any, _cls: Any = None) -> Load | None:
        name = descriptor.field.attname
        return None if instance is None or name in instance.__dict__ else begin(instance, name)

    def generic_key(self, descriptor: Any, instance: Any, _cls: Any = None) -> Load | None:
        field = getattr(descriptor, "field", descriptor)
        if instance is None or field.is_cached(instance):
            return None
        # The content type, where it is not known yet, and the object.
        return begin(instance, field.name, 2)

    # Many.

    def making(self, patch: Patches, reverse: bool) -> Any:
        """A manager's class is made when its relation is first used."""

        def make(call: Call) -> Generator[None, Any, None]:
            relation = call.arg("rel")
            made = yield
            accessor = relation.get_accessor_name() if call.arg("reverse", reverse) else relation.field.name
            place = f"{made.__module__}:{made.__name__}._apply_rel_filters"
            patch.hook(made, "_apply_rel_filters", place, *self.filtering(accessor))

        return make

    def filtering(self, accessor: str) -> Any:
        def before(manager: Any, _queryset: Any) -> str:
            return f"{name_of(type(manager.instance))}.{accessor}"

        def after(label: str, _manager: Any, queryset: Any) -> None:
            # Not `query`, which would apply a filter that Django puts off.
            self.lists.set(queryset._query, label)

        return before, after


def begin(instance: Any, attribute: str, statements: int = 1) -> Load:
    load = Load(f"{name_of(type(instance))}.{attribute}", statements, loading.get())
    loading.set(load)
    return load


def done(load: Load, *_: Any) -> None:
    loading.set(load.outer)
