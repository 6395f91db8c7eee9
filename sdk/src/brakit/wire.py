"""Records to JSON, on the sender's thread: redaction, SQL summary, frames, envelope. What leaves here may leave the process."""

from __future__ import annotations

import json
import linecache
import os
from hashlib import blake2b

from brakit import comments, context, fragments, guard, parts, redact, sampling, sql
from brakit.callsite import is_own
from brakit.clocks import clock, wall
from brakit.conform import MAX_NAME, MAX_TEXT, MAX_URL, clean, conform, integer, plain_text, slim
from brakit.events import KINDS
from brakit.inputs import Inputs
from brakit.masked import MAX_SEEN, seen
from brakit.scrub import scrubbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import CodeType
    from typing import Any

    from brakit.client import Client
    from brakit.record import Record

MAX_STATEMENTS = 500
MAX_KNOWN_HEADERS = 1000
MAX_EVENT = 256 * 1024
"""Bytes of one event; a larger one is cut to what a person would read of it."""
RESYNC_NS = 50_000_000
"""How far the wall clock may be off before events follow it. Reading two clocks is no exact thing, and order matters more."""
CODE_AROUND = 4
"""Source lines shown before and after the line of a frame."""
CODE_BEFORE = 40
"""Source lines before the first one shown that are read, so that what began there is known for what it is."""
MAX_CODE_FRAMES = 20

TOOK = {"db.query": "duration", "fetch": "duration", "span": "duration", "request": "duration_ms", "job": "duration"}
"""The field that says how long it took, in milliseconds."""
NOBODY = context.Owner("", None, "", None)
"""Owns what the app's own scrubbing does."""
NOBODY.muted = sampling.IGNORED

LEFT_OUT: fragments.Piece = ("", (), 0, "", 0)

_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode


class Wire:
    """Turns the records of one process into JSON."""

    def __init__(self, client: Client) -> None:
        self.client = client
        redact.own(client.config.secrets)
        self.key = context.new_request_id().encode()
        self.prefix = context.new_span_id()
        self.number = 0
        self.root = ""
        self.sites: dict[tuple[CodeType, int], dict[str, object]] = {}
        self.statements: dict[tuple[object, ...], dict[str, object]] = {}
        self.headers: dict[tuple[str, str], str] = {}
        self.methods: dict[str, Callable[[dict[str, Any]], dict[str, object] | None]] = {
            kind.name: getattr(self, "_" + kind.name.replace(".", "_")) for kind in KINDS
        }
        self.inputs = Inputs()
        self.fragments = fragments.Fragments(self)
        self.offset = wall() - clock()

    def encode(self, records: Iterable[Record]) -> tuple[list[bytes], int]:
        """JSON of each event, in UTF-8, and how many records could not be turned into one."""
        made, failed = self.pieces(records)
        return [fragments.text(piece).encode("utf-8", "replace") for piece in made], failed

    def pieces(self, records: Iterable[Record]) -> tuple[list[fragments.Piece], int]:
        """What the JSON of each event is put together from, without those that are left out; and how many records failed."""
        offset = wall() - clock()
        if abs(offset - self.offset) > RESYNC_NS:
            self.offset = offset
        made: list[fragments.Piece] = []
        failed = 0
        left = iter(records)
        record = next(left, None)
        while record:
            record = guard.run(self.client.failures, f"wire.{record.kind}", self._alike, record, left, made)
            if record is None:
                failed += 1
                record = next(left, None)
        return made, failed

    def _alike(self, record: Record, left: Iterator[Record], made: list[fragments.Piece]) -> Record | bool:
        """The pieces of records of one kind in a row, guarded together. Returns the first one of another kind, False at the end."""
        kind = record.kind
        while record.kind == kind:
            piece = self._piece(record)
            if piece is not LEFT_OUT:
                made.append(piece)
            following = next(left, False)
            if following is False:
                return False
            record = following  # type: ignore[assignment]
        return record

    def _piece(self, record: Record) -> fragments.Piece:
        """`LEFT_OUT` for one that is."""
        sampler = self.client.sampler
        if (
            sampler is not None
            and record.kind == "log"
            and not sampler.wants(record.data.get("level"), record.data.get("logger"))
        ):
            return LEFT_OUT
        if not scrubbers:
            maker = self.fragments.makers.get(record.kind)
            if maker is not None:
                piece = maker(record, self.offset)
                # A character is four bytes at most.
                if piece is not None and piece[4] <= MAX_EVENT // 4:
                    return piece
        event: dict[str, Any] | None = self.event(record, self.offset)
        if sampler is not None and record.kind == "fetch" and sampler.decide("://", event["data"]["url"]):  # type: ignore[index]
            return LEFT_OUT
        for scrub in scrubbers:
            # One that fails costs the event: what was to be taken out of it must not leave.
            event = self._scrubbed(scrub, event)  # type: ignore[arg-type]
            if event is None:
                return LEFT_OUT
        # Lone surrogates were escaped before; what may still slip through costs a question mark and not the batch.
        whole = _encode(event)
        if len(whole) > MAX_EVENT // 4 and len(whole.encode("utf-8", "replace")) > MAX_EVENT:
            whole = _encode(slim(event))
        return "", (), 0, whole, len(whole)

    def _scrubbed(self, scrub: Callable[[dict[str, Any]], object], event: dict[str, Any]) -> dict[str, Any] | None:
        """What the app's own function makes of an event. What it does itself is not recorded: that would never end."""
        before = context.enter(NOBODY)
        try:
            scrubbed = scrub(event)
        finally:
            context.enter(before)
        if scrubbed is not None and type(scrubbed) is not dict:
            raise TypeError(
                f"{plain_text(getattr(scrub, '__name__', ''), MAX_NAME)} returned no event, but a {type(scrubbed).__name__}"
            )
        return scrubbed

    def event(self, record: Record, offset: int) -> dict[str, object]:
        """The event of a record, as `brakit.events` describes it. `offset` leads from our clock to the epoch, in nanoseconds."""
        data = dict(record.data)
        if record.site is not None:
            data["callsite"] = self.site(record.site)
        elif type(data.get("callsite")) is tuple:
            data["callsite"] = self.place(data["callsite"])  # type: ignore[arg-type]
        if (
            record.kind == "db.query"
            and data.get("model") is None
            and self.inputs.in_text(data.get("sql"), record.owner, record.site)
        ):
            data["literals_from_request"] = True
        method = self.methods.get(record.kind)
        known = method(data) if method is not None else None
        took = TOOK.get(record.kind)
        if took is not None:
            data.setdefault(took, round(max(record.ended - record.started, 0) / 1e6, 3))
        event: dict[str, object] = {
            "type": record.kind,
            "timestamp": (record.started + offset) // 1000 / 1000,
            "id": self.id_of(record),
        }
        owner = record.owner
        if owner is not None:
            if owner.request_id is not None:
                event["requestId"] = owner.request_id
            event["traceId"] = owner.trace_id
            if record.kind in ("request", "job"):
                if owner.request_id != owner.id:
                    event["parentId"] = owner.request_id
            else:
                event["parentId"] = owner.id
                if owner.root is not None and owner.root is not owner:
                    event["ownerId"] = owner.root.id
        event["data"] = conform(record.kind, data, known)
        return event

    def id_of(self, record: Record) -> str:
        """A request and a job have theirs from the start; that of an error may have gone out already, with the log that carries it."""
        id = record.data.get("id")
        if type(id) is str:
            return id
        self.number += 1
        id = f"{self.prefix}{self.number:08x}"
        if record.kind == "error":
            record.data["id"] = id
        return id

    # One method a kind: from what the instrumentation wrote down to the fields of the shape. What is the same for many records of a
    # kind is returned, under the names of the wire.

    def _db_query(self, data: dict[str, Any]) -> dict[str, object]:
        system = data.get("system")
        no_sql = type(system) is str and system in sql.NO_SQL
        params = data.pop("params", None)
        literals = "" if no_sql else self.literals(data.get("sql"))
        if params is not None or literals:
            data["params_hash"] = self.hash((params, literals) if literals else params)
        if params is not None and self.client.config.params and not no_sql:
            data["params"] = [redact.text(plain_text(value, 256)) for value in params]
        if data.get("error") is not None:
            self._error_text(data)
        if no_sql:
            # The instrumentation has summed it up itself, and shows no values.
            data["sql"] = redact.text(plain_text(data.get("sql"), MAX_TEXT))
            data["shape"] = redact.text(plain_text(data.get("shape"), MAX_TEXT))
            data["shape_hash"] = sql.hash_of(data["shape"])
            return {}
        statement = (_hashable(data.pop("sql", None)), _hashable(data.pop("source", None)), _hashable(data.pop("system", None)))
        known = self.statements.get(statement)
        if known is None:
            if len(self.statements) >= MAX_STATEMENTS:
                self.statements.clear()
            known = self.statements[statement] = self.statement(*statement)
        return known

    def statement(self, text: object, source: object, system: object) -> dict[str, object]:
        """What all executions of a statement have in common."""
        summary = sql.summarize(plain_text("" if text is None else text, MAX_TEXT))
        fields = {
            "sql": summary.sql,
            "shape": summary.shape,
            "shape_hash": summary.shape_hash,
            "operation": summary.operation,
            "table": summary.table,
            "transaction_mark": summary.mark,
            "source": source,
            "system": system,
        }
        return conform("db.query", {**fields, "duration": 0.0})

    def literals(self, text: object) -> str:
        """Equal for equal values in the text of a statement; empty where there are none."""
        return sql.summarize(plain_text("" if text is None else text, MAX_TEXT)).literals

    def _fetch(self, data: dict[str, Any]) -> None:
        data["url"] = redact.url(plain_text(data["url"], MAX_URL))
        data["method"] = self.method(data["method"]).upper()
        self._error_text(data)

    def _log(self, data: dict[str, Any]) -> None:
        message = parts.message(data.pop("message"), data.pop("args", None))
        data["message"] = redact.text(message)
        masked = seen(message, data["message"], "message")
        given = data.get("fields")
        data["fields"] = parts.fields(given)
        if given and data["fields"] and any(map(redact.MASK.__eq__, data["fields"].values())):
            masked += parts.masked_fields(given)
        data["masked"] = masked[:MAX_SEEN] or None
        error = data.pop("error", None)
        if error is not None:
            data["error_id"] = self.id_of(error)
        exception = data.get("exception")
        if exception is not None:
            data["exception"] = {
                "name": plain_text(exception["name"], MAX_NAME),
                "message": redact.text(plain_text(exception["message"], MAX_TEXT)),
                "stack": self.stack(exception),
            }

    def _error(self, data: dict[str, Any]) -> None:
        data.pop("id", None)
        data["stack"] = self.stack(data)
        frames = data.pop("frames")
        data["message"] = redact.text(plain_text(data["message"], MAX_TEXT))
        data["causes"] = [
            {
                "name": plain_text(cause["name"], MAX_NAME),
                "message": redact.text(plain_text(cause["message"], MAX_TEXT)),
                "frames": self.frames(cause["frames"]),
            }
            for cause in data.get("causes", ())
        ]
        data["frames"] = self.frames(frames)
        own = [frame for frame in frames if is_own(frame[0].co_filename)]
        if own:
            data["callsite"] = self.site(own[-1])

    def _span(self, data: dict[str, Any]) -> None:
        data["name"] = redact.text(plain_text(data["name"], MAX_NAME))
        data["attributes"] = parts.fields(data.get("attributes"))
        self._error_text(data)

    def _job(self, data: dict[str, Any]) -> None:
        for name in ("name", "queue", "message_id"):
            if data.get(name) is not None:
                data[name] = redact.text(plain_text(data[name], MAX_NAME))
        self._error_text(data)

    def _auth_check(self, data: dict[str, Any]) -> None:
        for name in ("provider", "result", "subject_kind", "checked"):
            if data.get(name) is not None:
                data[name] = redact.text(plain_text(data[name], MAX_NAME))

    def _request(self, data: dict[str, Any]) -> None:
        request, response = parts.headers(data.pop("headers", ())), parts.headers(data.pop("response_headers", ()))
        data["cookies"] = redact.cookies(response.get("set-cookie", [])) or None
        masked = []
        for field, place, headers, body in (
            ("request_body", "requestBody", request, data.get("request_body")),
            ("response_body", "responseBody", response, data.get("response_body")),
        ):
            if body is not None:
                content_type = parts.first(headers, "content-type")
                text = parts.plain_body(body, content_type, parts.first(headers, "content-encoding"))
                data[field] = None if text is None else redact.body(text, content_type)
                if text is not None:
                    masked += seen(text, data[field], place)
        data["headers"] = self.request_headers(request)
        data["response_headers"] = self.response_headers(response)
        data["path"] = redact.url(plain_text(data["path"], MAX_URL))
        url = plain_text(data["url"], MAX_URL)
        data["url"] = redact.url(url)
        data["masked"] = seen(url, data["url"], "url") + masked or None
        data["method"] = self.method(data["method"])
        if data.get("route") is not None:
            data["route"] = plain_text(data["route"], MAX_URL)
        path = data["path"]
        data["is_static"] = parts.is_static(path)
        data["is_health_check"] = parts.is_health_check(path)

    def method(self, method: object) -> str:
        """Masked before it is cut: the rest of a secret looks like none."""
        return plain_text(redact.short(plain_text(method, MAX_NAME)), 32)

    def request_headers(self, named: dict[str, list[str]]) -> dict[str, str]:
        return {name: self.header(name, ", ".join(values)) for name, values in named.items()}

    def response_headers(self, named: dict[str, list[str]]) -> dict[str, str]:
        return {name: ", ".join(self.header(name, value) for value in values) for name, values in named.items()}

    def header(self, name: str, value: str) -> str:
        """A header's value, masked. Most are the same in request after request."""
        masked = self.headers.get((name, value))
        if masked is None:
            masked = redact.header(name, value)
            if len(value) < 256:
                if len(self.headers) >= MAX_KNOWN_HEADERS:
                    self.headers.clear()
                self.headers[name, value] = masked
        return masked

    def _error_text(self, data: dict[str, Any]) -> None:
        if data.get("error") is not None:
            data["error"] = redact.text(plain_text(data["error"], 4096))

    def hash(self, params: object) -> str:
        """16 hex digits that are equal for equal parameters of this process, and say nothing about them outside of it."""
        return blake2b(repr(params).encode("utf-8", "backslashreplace"), digest_size=8, key=self.key).hexdigest()

    def site(self, site: tuple[CodeType, int]) -> dict[str, object]:
        """File, line and function of a code object and a line; one dict for each, kept."""
        known = self.sites.get(site)
        if known is None:
            if len(self.sites) > 5000:
                self.sites.clear()
            code, line = site
            known = {"file": self.file(code.co_filename), "line": line or 0, "function": _function(code)}
            known = self.sites[site] = self.with_comment(known, code.co_filename)
        return known

    def with_comment(self, site: dict[str, object], filename: str) -> dict[str, object]:
        """The call site with what a comment in the source says about it."""
        ignored = comments.ignored(os.path.join(self.client.folder, filename), integer(site["line"]) or 0)
        return site if ignored is None else {**site, "ignore": redact.text(clean(ignored, MAX_NAME))}

    def place(self, place: tuple[object, ...]) -> dict[str, object]:
        """A call site that somebody else has looked up: file, line and function, none of them to be relied on."""
        file, line, function = place
        path = plain_text(file, MAX_URL)
        return self.with_comment(
            {"file": self.file(path), "line": integer(line) or 0, "function": plain_text(function, MAX_NAME)}, path
        )

    def file(self, filename: str) -> str:
        """A path as people write it: relative to the project root where it lies below."""
        path = clean(filename if filename.startswith("<") else os.path.join(self.client.folder, filename), MAX_URL)
        return redact.short(path[len(self.root) + 1 :] if self.root and path.startswith(self.root + os.sep) else path)

    def frames(self, frames: list[tuple[CodeType, int]]) -> list[dict[str, object]]:
        """Frames with their source lines: of the app's own code, and of the innermost frame."""
        result = []
        with_code = 0
        for index in range(len(frames) - 1, -1, -1):
            code, line = frames[index]
            own = is_own(code.co_filename)
            frame = {**self.site((code, line)), "own": own}
            frame.pop("ignore", None)
            if (own or index == len(frames) - 1) and with_code < MAX_CODE_FRAMES:
                start = max(1, (line or 1) - CODE_AROUND)
                lines = self.lines(code.co_filename, start, (line or 1) + CODE_AROUND)
                if lines:
                    frame["code"], frame["code_start"] = lines, start
                    with_code += 1
            result.append(frame)
        result.reverse()
        return result

    def lines(self, filename: str, first: int, last: int) -> list[str]:
        """Source lines, scrubbed: a password stands in many a settings file, and some have several lines."""
        linecache.checkcache(filename)
        start = max(1, first - CODE_BEFORE)
        source = [clean(linecache.getline(filename, number).rstrip("\r\n"), 500) for number in range(start, last + 1)]
        masked = redact.text("\n".join(source)).split("\n")
        # A mask has as many lines as what it hides.
        lines = masked[first - start :] if len(masked) == len(source) else []
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def stack(self, error: dict[str, Any]) -> str:
        """The traceback as Python prints it, causes first."""
        parts = []
        for cause in reversed(error.get("causes", ())):
            parts += [*self._stack(cause), "", "which led to:", ""]
        parts += self._stack(error)
        return redact.text("\n".join(parts)[: 2 * MAX_TEXT])

    def _stack(self, error: dict[str, Any]) -> list[str]:
        lines = ["Traceback (most recent call last):"] if error["frames"] else []
        for code, line in error["frames"]:
            lines.append(f'  File "{self.file(code.co_filename)}", line {line}, in {_function(code)}')
            if line and is_own(code.co_filename):
                source = "".join(self.lines(code.co_filename, line, line)).strip()
            else:
                source = linecache.getline(code.co_filename, line or 0).strip()
            if source:
                lines.append("    " + clean(source, 500))
        name, message = plain_text(error["name"], MAX_NAME), plain_text(error["message"], MAX_TEXT)
        lines.append(f"{name}: {message}" if message else name)
        return lines


def _hashable(value: object) -> str | None:
    return value if type(value) is str or value is None else plain_text(value, MAX_TEXT)


def _function(code: CodeType) -> str:
    # co_qualname is there from 3.11 on.
    return clean(getattr(code, "co_qualname", code.co_name), MAX_NAME)
