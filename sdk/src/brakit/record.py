"""What the app's thread writes down about one event: references and two clock readings, nothing computed."""

from __future__ import annotations

import sys

from brakit import context
from brakit.clocks import clock as clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from brakit.buffer import Buffer
    from brakit.context import Owner

PLAIN = frozenset((str, int, float, bool, bytes, type(None)))
"""Types whose values may be held and turned into text later: nothing of the app's own code runs for them."""


MAX_BODY = 10_240
"""Bytes of a body that are kept; the reference's figure."""
TEXT_TYPES = ("json", "text", "html", "xml", "javascript", "x-www-form-urlencoded", "graphql")
"""Parts of the content types whose bodies are kept; a body without a content type is looked at later."""


class Record:
    """One event on its way into the buffer.

    `data` has the field names of `brakit.events`, in snake_case, with values that are not yet in the form of the wire (a call site
    is a code object and a line, headers are pairs of bytes). `started` and `ended` are nanoseconds of `clock`.
    """

    __slots__ = ("cost", "data", "emitted", "ended", "kind", "owner", "site", "started")

    def __init__(self, kind: str, data: dict[str, object], started: int | None = None) -> None:
        self.kind = kind
        self.data = data
        self.owner: Owner | None = context.current()
        self.site: tuple[CodeType, int] | None = None
        self.started = clock() if started is None else started
        self.ended = self.started
        self.cost = 0
        self.emitted = False

    def finish(self, buffer: Buffer, **data: object) -> None:
        """Stop the clock, add what is known now and hand over. A second call does nothing."""
        if self.emitted:
            return
        self.ended = clock()
        if data:
            self.data.update(data)
        self.emit(buffer)

    def emit(self, buffer: Buffer) -> None:
        """Hand over as it is, once."""
        if not self.emitted:
            self.emitted = True
            buffer.append(self)

    def hold(self, buffer: Buffer) -> None:
        """Keep for more to come; goes out with `emit`, or with its request at the latest. Outside a request it goes out now."""
        root = self.owner.root if self.owner is not None else None
        if root is None or root.finished or len(root.held) >= MAX_HELD:
            self.emit(buffer)
        else:
            root.held[id(self)] = self

    def release(self, buffer: Buffer) -> None:
        """End of `hold`."""
        if self.owner is not None and self.owner.root is not None:
            self.owner.root.held.pop(id(self), None)
        self.emit(buffer)


MAX_HELD = 100
"""Open results of one request; what is opened beyond goes out without its row count."""


def release_all(owner: Owner, buffer: Buffer) -> None:
    """Hand over what the request still holds; its own record follows, so that a timeline is whole when its request arrives."""
    owner.finished = True
    # `popitem` and `pop` are atomic: two threads of one request never hand over the same record.
    while owner.held:
        try:
            _, record = owner.held.popitem()
        except KeyError:
            break
        record.emit(buffer)
    while owner.reading:
        try:
            record = owner.reading.pop(0)
        except IndexError:
            break
        record.emit(buffer)


MAX_VALUE = 256
"""Characters or bytes kept of one bound parameter; enough to tell two apart, with its length."""
MAX_PARAMS = 100
MAX_END = 10
"""Elements kept of each end of a list that is one parameter."""
_SAFE_MODULES = frozenset(("datetime", "decimal", "uuid"))
_MAX_BITS = 256
_BASES: tuple[type, ...] = (str, bytes, int, float)


def plain_value(value: object) -> object:
    """`value` if it can be held without keeping anything of the app's alive; a bounded stand-in otherwise. Runs none of its code."""
    kind: Any = type(value)
    if kind is str or kind is bytes:
        return value if len(value) <= MAX_VALUE else (value[:MAX_VALUE], len(value))  # type: ignore[arg-type,index]
    if kind is int and value.bit_length() > _MAX_BITS:  # type: ignore[attr-defined]
        return ("int", value.bit_length(), hash(value))  # type: ignore[attr-defined]
    if kind in PLAIN:
        return value
    for base in _BASES:
        # Members of an enum, marked-up strings: what they are as the built-in type, past whatever they define themselves.
        if issubclass(kind, base):
            return plain_value(_as_base(base, value))
    if kind is list or kind is tuple:
        # Both ends: of the chunks of a long list the beginnings may be alike.
        ends = value if len(value) <= 2 * MAX_END else (*value[:MAX_END], *value[-MAX_END:])  # type: ignore[arg-type,index]
        return (kind.__name__, len(value), *[_of_list(each) for each in ends])  # type: ignore[arg-type,attr-defined]
    module = type.__getattribute__(kind, "__module__")
    if module in _SAFE_MODULES and vars(sys.modules[module]).get(type.__getattribute__(kind, "__name__")) is kind:
        zone = getattr(value, "tzinfo", None)
        if zone is None:
            return value
        return (value.replace(tzinfo=None), type(zone).__name__)  # type: ignore[attr-defined]
    return f"<{type.__getattribute__(kind, '__name__')}>"


def _of_list(value: object) -> object:
    kind: Any = type(value)
    return f"<{kind.__name__}>" if kind is list or kind is tuple else plain_value(value)


def _as_base(base: Any, value: Any) -> object:
    if base is str or base is bytes:
        return base.__getitem__(value, slice(None))
    return base.__add__(value, 0)


def plain_params(params: object) -> tuple[object, ...]:
    """Bound parameters, in the order of a list, or by name for a dict."""
    kind = type(params)
    if kind is tuple and len(params) <= MAX_PARAMS:  # type: ignore[arg-type]
        for value in params:  # type: ignore[attr-defined]
            kind = type(value)
            if kind is str or kind is bytes:
                if len(value) > MAX_VALUE:
                    break
            elif kind is int:
                if value.bit_length() > _MAX_BITS:
                    break
            elif kind not in PLAIN:
                break
        else:
            # The common case: it can be held as it is.
            return params  # type: ignore[return-value]
        kind = tuple
    if kind is tuple or kind is list:
        return tuple([plain_value(value) for value in params[:MAX_PARAMS]])  # type: ignore[index]
    if kind is dict:
        items = list(params.items())[:MAX_PARAMS]  # type: ignore[attr-defined]
        return tuple([plain_value(value) for pair in items for value in pair])
    return (plain_value(params),)
