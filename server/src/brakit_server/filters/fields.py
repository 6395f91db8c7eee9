"""The fields that a filter can name: every field of every record, by the shape, and short names for what is asked for often."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

import msgspec

from brakit.events import EVENT, KINDS, PARTS, RESOURCE, Shape
from brakit.events import Field as ShapeField

Path = tuple[str, ...]
"""How to get from a record to a value: names of attributes; `*` is each of a list, `?` each of an object or the one of the filter's
key, `=name` one of an object. A path that begins with `@process` begins at the process that sent the record."""

ALL = "*"
"""Stands for every kind, those included that this version does not know."""

KIND, PROCESS, RAW = "@kind", "@process", "@raw"

NAMES = {
    "request": "request",
    "query": "db.query",
    "fetch": "fetch",
    "log": "log",
    "error": "error",
    "auth-check": "auth.check",
    "span": "span",
    "job": "job",
}
"""What a filter calls a kind → its name on the wire, which it may say as well."""

TEXTS: dict[str, tuple[str, ...]] = {
    "request": ("url", "request_body", "response_body"),
    "db.query": ("sql",),
    "fetch": ("url",),
    "log": ("message", "logger"),
    "error": ("name", "message"),
    "auth.check": ("provider", "result", "checked"),
    "span": ("name", "error"),
    "job": ("name", "queue", "message_id", "error"),
}
"""Kind → its main texts: what a free word is looked for in."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One field. `paths`: kind → where its values stand; a record has the field's value where any of them has."""

    name: str
    type: str
    doc: str
    paths: dict[str, tuple[Path, ...]]
    aliases: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    """All values, where they are known."""

    example: str = ""

    @property
    def keyed(self) -> bool:
        """Whether a name follows behind a dot."""
        return any("?" in path for paths in self.paths.values() for path in paths)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that have it; `*` alone: all of them."""
        return tuple(self.paths)


class _Short:
    """A name of ours for fields of the shape. `of`: their own names; those in `instead` are reached by this one only."""

    def __init__(
        self, name: str, type: str, doc: str, example: str, *of: str, instead: tuple[str, ...] = (), values: tuple[str, ...] = ()
    ) -> None:
        self.name, self.type, self.doc, self.example = name, type, doc, example
        self.of = (*of, *instead)
        self.instead = instead
        self.values = values


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

SHORT = (
    _Short(
        "status",
        "status",
        "Status of a request or call: `404`, a class `4xx`, `0` for no answer; how a job ended.",
        "status:5xx",
        instead=("status-code", "status"),
        values=("2xx", "3xx", "4xx", "5xx", "succeeded", "failed", "retried", "rejected"),
    ),
    _Short("duration", "duration", "Milliseconds that it took.", "duration>200ms", instead=("duration-ms",)),
    _Short("method", "word", "Method of a request or call.", "method:POST", instead=("method",), values=_METHODS),
    _Short("size", "size", "Bytes of the response's body.", "size>1MB", instead=("response-size",)),
    _Short("body", "text", "Body of the request or the response.", 'body:"out of stock"', "request-body", "response-body"),
    _Short("header", "text", "A header of the request: `header.accept`.", "header.accept:json", instead=("headers",)),
    _Short(
        "response.header", "text", "A header of the response.", "response.header.location:/login", instead=("response-headers",)
    ),
    _Short("cookie", "word", "Name of a cookie that the response sets.", "cookie:session", instead=("cookie.name",)),
    _Short("rows", "number", "Rows that a statement read or changed.", "rows>1000", instead=("row-count",)),
    _Short("shape", "text", "Statement without its values, or the 16 digits of its hash.", "shape:orders", "shape", "shape-hash"),
    _Short("source", "word", "Library that did it.", "source:sqlalchemy", instead=("source", "driver")),
    _Short("level", "level", "Severity of a log record.", "level>=warn", instead=("level",)),
    _Short("logger", "word", "Name of the logger.", "logger:shop.*", instead=("logger",)),
    _Short(
        "error",
        "text",
        "Class and text of an exception, wherever one stands.",
        "has:error",
        "error",
        "exception.name",
        "exception.message",
        "cause.name",
        "cause.message",
    ),
    _Short("file", "word", "File of the line of the app that led to it.", "file:shop/*", instead=("call-site.file",)),
    _Short("line", "number", "Number of that line.", "file:shop/views.py line:12", instead=("call-site.line",)),
    _Short("function", "word", "Function of that line.", "function:*.save", instead=("call-site.function",)),
    _Short("wait", "duration", "Milliseconds that a job waited.", "wait>10s", instead=("wait-ms",)),
    _Short("first-byte", "duration", "Milliseconds until the response headers.", "first-byte>1s", instead=("response-start-ms",)),
    _Short("transaction", "id", "Names the transaction of a statement.", "transaction:t1", instead=("transaction-id",)),
    _Short("connection", "id", "Names the connection of a statement.", "connection:c1", instead=("connection-id",)),
    _Short("mark", "word", "What a statement does to its transaction.", "mark:rollback", instead=("transaction-mark",)),
    _Short("host", "word", "Host that it ran on.", "host:box", instead=("process.host",)),
    _Short("pid", "number", "Process that it ran in.", "pid:4711", instead=("process.pid",)),
    _Short("runtime", "word", "Interpreter that it ran on.", "runtime:*3.12*", instead=("process.runtime",)),
)

_PROSE = {"sql", "shape", "message", "stack", "url", "error", "request_body", "response_body", "code", "params", "failures"}
"""Texts that are searched in; all others are compared as a whole."""

_TIMES = {"timestamp", "started", "started_at"}
_PARTS = {part.name: part for part in PARTS}
_DOCS = {field.name: field.doc for field in EVENT}


def _kebab(name: str) -> str:
    return name.replace("_", "-")


def _type(field: ShapeField) -> str:
    if field.record in _TIMES:
        return "time"
    if field.record.endswith("_ms"):
        return "duration"
    if field.record.endswith(("_size", "_bytes")) and field.record != "batch_size":
        return "size"
    if field.record.endswith(("_id", "_hash")):
        return "id"
    kind = field.type.removesuffix("[]")
    if kind in ("number", "integer"):
        return "number"
    if kind == "boolean":
        return "flag"
    return "text" if field.record in _PROSE or kind == "object" else "word"


def _leaves(field: ShapeField, name: str, path: Path) -> Iterator[tuple[str, Path, ShapeField]]:
    """The values in a field: name, path from the record, and what is declared of each."""
    kind = field.type.removesuffix("[]")
    inside = (*path, "*") if field.type.endswith("[]") else path
    part = _PARTS.get(kind)
    if part is None:
        yield name, (*inside, "?") if kind == "object" else inside, field
        return
    # A frame of a list of frames is called a frame.
    head = part.name if field.type.endswith("[]") else _kebab(field.record)
    head = name.rpartition(".")[0] + "." + head if "." in name else head
    for each in part:
        yield from _leaves(each, f"{head}.{_kebab(each.record)}", (*inside, each.record))


def _derived() -> dict[str, Field]:
    """Every value of every record under its own name."""
    found: dict[str, Field] = {}

    def put(kind: str, name: str, path: Path, type: str, doc: str, values: tuple[str, ...] = ()) -> None:
        known = found.get(name)
        paths = dict(known.paths) if known else {}
        paths[kind] = (*paths.get(kind, ()), path)
        found[name] = Field(name=name, type=type, doc=known.doc if known else doc, paths=paths, values=values)

    def shape(kind: str, of: Shape, name: str = "", path: Path = ()) -> None:
        for field in of:
            for leaf, where, declared in _leaves(field, name + _kebab(field.record), (*path, field.record)):
                put(kind, leaf, where, _type(declared), declared.doc, declared.enum)

    for kind in KINDS:
        shape(kind.name, Shape(kind.name, kind.record, kind.doc, *(field for field in kind if field.name != "id")))
    shape(ALL, Shape("", "", "", *(field for field in RESOURCE if field.name != "service")), "process.", (PROCESS,))
    # What the server puts around the data, and what the reference's clients look for, is not in the shape.
    put("db.query", "driver", ("driver",), "word", "The same as `source`.")
    put(ALL, "process.sdk", (PROCESS, "sdk"), "word", "Name and version of the SDK.")
    put(ALL, "parent-id", ("parent_id",), "id", _DOCS["parent_id"])
    put(ALL, "parent-request-id", ("parent_request_id",), "id", "The request or job that owns it; of those: what caused it.")
    return found


def _own() -> Iterator[Field]:
    """Fields that are more than a value of a record."""
    texts = {kind: tuple((name,) for name in names) for kind, names in TEXTS.items()}
    yield Field(
        name="text",
        type="text",
        doc="The main texts, as a free word.",
        paths={**texts, ALL: ((RAW,),)},
        example="text~/time.?out/",
    )
    yield Field(
        name="kind", type="kind", doc="Kind of the event.", paths={ALL: ((KIND,),)}, values=tuple(NAMES), example="kind:query"
    )
    yield Field(name="has", type="has", doc="Whether the event has the field.", paths={ALL: ()}, example="has:error")
    at: dict[str, tuple[Path, ...]] = {ALL: (("timestamp",),)}
    names = ("timestamp", "started-at")
    yield Field(
        name="at",
        type="time",
        doc="Start.",
        paths={ALL: at[ALL], "request": (("timestamp",), ("started_at",))},
        aliases=names,
        example="at>2026-01-01T10:00",
    )
    yield Field(name="since", type="since", doc="Started then or later.", paths=at, example="since:10m")
    yield Field(name="until", type="until", doc="Started then or earlier.", paths=at, example="until:2026-01-01")
    yield Field(name="id", type="id", doc="Id of the event.", paths={ALL: (("id",),)}, example="id:4bf92f35*")
    owner: dict[str, tuple[Path, ...]] = {ALL: (("parent_request_id",),), "request": (("id",),), "job": (("id",),)}
    yield Field(
        name="request",
        type="id",
        doc="The request or job that owns it; of those: itself.",
        paths=owner,
        example="request:4bf92f35*",
    )
    cause: dict[str, tuple[Path, ...]] = {"request": (("parent_request_id",),), "job": (("parent_request_id",),)}
    yield Field(name="cause", type="id", doc="What caused a request or job.", paths=cause, example="has:cause")
    yield Field(
        name="trace",
        type="id",
        doc=_DOCS["trace_id"],
        paths={ALL: (("trace_id",),)},
        aliases=("trace-id",),
        example="trace:0af7651916cd43dd*",
    )
    yield Field(
        name="service", type="word", doc="Name of the service that sent it.", paths={ALL: (("service",),)}, example="service:shop"
    )
    yield Field(
        name="run",
        type="word",
        doc="The process that sent it: host, process id and start.",
        paths={ALL: (("run",),)},
        example="run:box:*",
    )
    yield Field(
        name="user-agent",
        type="text",
        doc="The client's name for itself.",
        paths={"request": (("headers", "=user-agent"),)},
        example="user-agent:curl",
    )


def _table() -> dict[str, Field]:
    derived = _derived()
    shorts: list[_Short] = list(SHORT)
    # A process tells its revision where the project is a checkout.
    if "process.revision" in derived:
        shorts.append(_Short("revision", "word", "Commit of the project.", "revision:4bf92f3*", instead=("process.revision",)))
    table = {field.name: field for field in _own()}
    for short in shorts:
        paths: dict[str, tuple[Path, ...]] = {}
        for name in short.of:
            for kind, some in derived[name].paths.items():
                paths[kind] = (*paths.get(kind, ()), *some)
        aliases = tuple(name for name in short.instead if name != short.name)
        table[short.name] = Field(
            name=short.name,
            type=short.type,
            doc=short.doc,
            paths=paths,
            aliases=aliases,
            values=short.values or derived[short.of[0]].values,
            example=short.example,
        )
    # The name and the text of an exception are of the exception as well.
    table["error"].paths["error"] = (*table["error"].paths["error"], ("name",), ("message",))
    taken = {folded(name) for field in table.values() for name in (field.name, *field.aliases)}
    return table | {name: field for name, field in derived.items() if folded(name) not in taken}


def folded(name: str) -> str:
    """A name without what differs between the spellings of it: `statusCode`, `status_code`, `Status-Code`."""
    return name.replace("-", "").replace("_", "").lower()


FIELDS: dict[str, Field] = _table()
"""Name → field, those first that are asked for often."""

_BY_NAME = {folded(name): field for field in FIELDS.values() for name in (field.name, *field.aliases)}


def field_of(name: str) -> tuple[Field, str | None] | None:
    """The field that a name in a filter means, and the key behind it: `header.accept` → (header, "accept"). None for none."""
    names = split(name)
    for end in range(len(names), 0, -1):
        field = _BY_NAME.get(folded(".".join(names[:end])))
        if field is None:
            continue
        rest = names[end:]
        if not rest:
            return field, None
        if not field.keyed:
            return None
        key = ".".join(rest)
        return field, key.lower() if field.name in ("header", "response.header") else key
    return None


def split(name: str) -> list[str]:
    """A name at its dots; what stands in quotes is one part, without them."""
    parts, quoted, escaped = [""], False, False
    for char in name:
        if escaped:
            parts[-1] += char
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "." and not quoted:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def suggestion(name: str) -> str | None:
    """The field that was perhaps meant."""
    near = difflib.get_close_matches(folded(name), _BY_NAME, 1, 0.7)
    return _BY_NAME[near[0]].name if near else None


def paths_of(field: Field, kind: str) -> tuple[Path, ...]:
    """Where the field stands in records of a kind; a path for the kind itself wins over one for all."""
    return field.paths.get(kind, field.paths.get(ALL, ()))


def names_of(kinds: Iterable[str]) -> tuple[str, ...]:
    """What a filter calls kinds."""
    by_wire = {wire: name for name, wire in NAMES.items()}
    return tuple(by_wire.get(kind, kind) for kind in kinds)
