"""What an ORM knows of the statements that it hands to a driver which records them: whose they are, the model, the lazy load.

The ORM's instrumentation says so around its call, `Driver` asks when it makes the record. So a statement is one record, with all that
the driver tells of its connection, its transaction and its rows.
"""

from __future__ import annotations

from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from brakit.instrumentations._dbapi import Query


class Origin:
    """Where the statements that a driver is about to record come from. `site` is for an ORM whose driver runs on another stack."""

    __slots__ = ("lazy_load", "model", "site", "source")

    def __init__(
        self, source: str, model: str | None = None, lazy_load: str | None = None, site: tuple[CodeType, int] | None = None
    ) -> None:
        self.source = source
        self.model = model
        self.lazy_load = lazy_load
        self.site = site

    def sign(self, query: Query) -> None:
        query.source = self.source
        if self.model is not None:
            query.model = self.model
        if self.lazy_load is not None:
            query.lazy_load = self.lazy_load
        if self.site is not None:
            query.site = self.site


origin: ContextVar[Origin | None] = ContextVar("brakit_origin", default=None)


def name_of(model: Any) -> str | None:
    """The name of a class, past whatever its metaclass defines."""
    return type.__getattribute__(model, "__name__") if isinstance(model, type) else None
