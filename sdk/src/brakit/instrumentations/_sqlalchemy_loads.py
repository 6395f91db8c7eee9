"""SQLAlchemy's ORM: which attribute of which class made it ask, through the hook of every attribute that has no value yet.

Relationships, deferred columns and expired attributes all come to one method of their attribute's implementation; what an eager loader
or `refresh` asks for does not. The statement in between is recognised by the object that it is loaded for, which the ORM puts among its
execution options: neither an autoflush before it nor an eager load behind it has that one.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar

from brakit.instrumentations._orm import name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from brakit.patch import Patches

loading: ContextVar[tuple[Any, Any] | None] = ContextVar("brakit_sqlalchemy_loading", default=None)
"""The attribute that is being given its value, and the state of the object it belongs to."""


def instrument(patch: Patches) -> None:
    attributes: Any = sys.modules["sqlalchemy.orm.attributes"]
    kind = vars(attributes).get("_AttributeImpl") or attributes.AttributeImpl
    name, before = "_fire_loader_callables", opening
    if patch.versions["sqlalchemy"].startswith("1."):
        # Early releases of 1.4 load within `get`.
        name, before = (name, opening_early) if name in vars(kind) else ("get", getting_early)
    patch.hook(kind, name, f"sqlalchemy:AttributeImpl.{name}", before, close, close)


def opening(attribute: Any, state: Any, *_: Any) -> tuple[Any] | None:
    if state.key is None:
        # Not in the database.
        return None
    before = loading.get()
    loading.set((attribute, state))
    return (before,)


def opening_early(attribute: Any, state: Any, *_: Any) -> tuple[Any] | None:
    """Frames above: our wrapper, then `get`."""
    return None if at_once(4) else opening(attribute, state)


def getting_early(attribute: Any, state: Any, values: Any, *_: Any) -> tuple[Any] | None:
    return None if attribute.key in values or at_once(3) else opening(attribute, state)


def at_once(up: int) -> bool:
    """1.4 asks for what is `lazy="immediate"` in the way of the app, while it reads the row of the object."""
    return sys._getframe(up).f_code.co_name == "load_immediate"


def close(before: tuple[Any], *_: Any) -> None:
    loading.set(before[0])


def attribute_of(load: tuple[Any, Any], context: Any) -> str | None:
    """`Order.items` when the statement of `context` is the one that gives that attribute its value."""
    attribute, state = load
    options = context.execution_options.get("_sa_orm_load_options")
    if options is None or (options._lazy_loaded_from if attribute.uses_objects else options._refresh_state) is not state:
        return None
    return f"{name_of(state.class_)}.{attribute.key}"
