"""THE SHAPE: every kind of event and every field of it, declared once.

The JSON Schema, the dashboard's TypeScript types, the server's records and the protocol page are generated from this file
(`make generate`). Python says snake_case; the wire and the API say the same word in camelCase.

Times are Unix epoch milliseconds and mean the START of the thing; durations are milliseconds from a monotonic clock.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = 1
"""The protocol version that this SDK speaks (`version` in the payload)."""

OPERATIONS = ("SELECT", "INSERT", "UPDATE", "DELETE", "OTHER")
MARKS = ("begin", "commit", "rollback", "savepoint", "release", "rollback_to", "prepare")
LEVELS = ("log", "warn", "error", "info", "debug")


class Field:
    """One field: its name in Python, its JSON type, and whether an event without it is rejected.

    `type` is one of string, number, integer, boolean, object (of strings), counts (object of integers), or the name of a part;
    `[]` behind it makes a list.
    `record` is the name in the server's records and in the API where that differs from the wire (the seed's `duration` is stored
    as `duration_ms`). `aliases` are other wire names that real clients send for it. A field with a `default` is always present in
    the record: the clients of the API that exist rely on it.
    """

    __slots__ = ("aliases", "default", "doc", "enum", "name", "record", "required", "seed", "type")

    def __init__(
        self,
        name: str,
        type: str,
        doc: str,
        *,
        required: bool = False,
        seed: bool = False,
        enum: tuple[str, ...] = (),
        record: str = "",
        aliases: tuple[str, ...] = (),
        default: str = "",
    ) -> None:
        self.name = name
        self.type = type
        self.doc = doc
        self.required = required
        self.seed = seed or required
        self.enum = enum
        self.record = record or name
        self.aliases = aliases
        self.default = default


class Shape:
    """A named list of fields: a kind of event (`db.query`), or a part of one (`frame`)."""

    __slots__ = ("doc", "fields", "name", "record")

    def __init__(self, name: str, record: str, doc: str, *fields: Field) -> None:
        self.name = name
        self.record = record
        self.doc = doc
        self.fields = fields

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)


# Parts: objects inside an event's data.

CALLSITE = Shape(
    "callsite",
    "Callsite",
    "The innermost line of the app's own code that led to the event.",
    Field("file", "string", "Path of the file, relative to the project root where it lies below it.", required=True),
    Field("line", "integer", "Line number, from 1.", required=True),
    Field("function", "string", "Qualified name of the function.", required=True),
    Field("ignore", "string", "What stands behind `# brakit: ignore` at the statement: `[n1] reason`."),
)

FRAME = Shape(
    "frame",
    "Frame",
    "One frame of a traceback, outermost first.",
    Field("file", "string", "Path of the file, relative to the project root where it lies below it.", required=True),
    Field("line", "integer", "Line number, from 1.", required=True),
    Field("function", "string", "Qualified name of the function.", required=True),
    Field("own", "boolean", "True for the app's own code, false for a library's."),
    Field("code", "string[]", "Source lines around the line, without line ends."),
    Field("code_start", "integer", "Line number of the first line in `code`."),
)

CAUSE = Shape(
    "cause",
    "Cause",
    "An exception that led to the error: `__cause__`, or `__context__` unless suppressed.",
    Field("name", "string", "Class name.", required=True),
    Field("message", "string", "Text of the exception.", required=True),
    Field("frames", "frame[]", "Its traceback, outermost first."),
)

EXCEPTION = Shape(
    "exception",
    "ExceptionText",
    "The exception that a log record carries.",
    Field("name", "string", "Class name.", required=True),
    Field("message", "string", "Text of the exception.", required=True),
    Field("stack", "string", "Formatted traceback."),
)

COOKIE = Shape(
    "cookie",
    "Cookie",
    "A cookie that the response sets: its flags, never its value.",
    Field("name", "string", "Cookie name.", required=True),
    Field("secure", "boolean", "Has `Secure`."),
    Field("http_only", "boolean", "Has `HttpOnly`."),
    Field("same_site", "string", "Value of `SameSite`, lower case; missing when the attribute is."),
    Field("expires", "boolean", "Has `Expires` or `Max-Age`."),
)

MASKED = Shape(
    "masked",
    "Masked",
    "A secret that was masked: where it stood and what it looked like, never the value.",
    Field(
        "place",
        "string",
        "Which text it stood in: the field's name on the wire.",
        required=True,
        enum=("url", "requestBody", "responseBody", "message", "fields"),
    ),
    Field("name", "string", "The name that it stood under; empty when it was known by its look alone."),
    Field(
        "look",
        "string",
        "`hidden` by the app itself, `words`, a password's `hash`, a known `key`, `user info` of a URL, a `number`, or `text`.",
    ),
    Field("length", "string", "`short` below 8 characters, `medium` below 32, `long`."),
)

PARTS = (CALLSITE, FRAME, CAUSE, EXCEPTION, COOKIE, MASKED)

# Kinds: what stands in an event's `type`.

QUERY = Shape(
    "db.query",
    "Query",
    "One database statement.",
    Field("operation", "string", "What the statement does.", required=True, enum=OPERATIONS),
    Field("table", "string", "Main table; empty when there is none.", required=True),
    Field(
        "duration",
        "number",
        "Milliseconds in the driver's execute call.",
        required=True,
        record="duration_ms",
        aliases=("durationMs",),
    ),
    Field("sql", "string", "Statement text with placeholders; literals are masked.", seed=True),
    Field("source", "string", "Library that issued it, e.g. `sqlalchemy`.", seed=True, aliases=("driver",)),
    Field("row_count", "integer", "Rows read or changed; missing when unknown.", seed=True),
    Field("model", "string", "ORM model.", seed=True),
    Field("normalized_op", "string", "The same as `operation`, as SDK 0.1.7 names it.", default="'OTHER'"),
    Field("parent_fetch_id", "string", "Id of the outgoing call in another process that this statement serves."),
    Field("shape", "string", "Statement text without literals, placeholders unified, value lists collapsed."),
    Field("shape_hash", "string", "16 hex digits over `shape`."),
    Field(
        "params_hash",
        "string",
        "Keyed hash over the bound parameters and the literals in the text: equal within a process for equal values.",
    ),
    Field("params", "string[]", "Parameter values, scrubbed; only when switched on."),
    Field("callsite", "callsite", "Line of the app that issued it.", record="call_site"),
    Field("error", "string", "Class name and text of the exception, when the statement failed."),
    Field("fetch_ms", "number", "Milliseconds spent reading rows after execute."),
    Field("batch_size", "integer", "Parameter sets of an executemany."),
    Field("connection_id", "string", "Names the connection within the process."),
    Field("transaction_id", "string", "Names the transaction within the process."),
    Field(
        "transaction_mark",
        "string",
        "What a statement does to its transaction; one that has a mark counts as no query.",
        enum=MARKS,
    ),
    Field("lazy_load", "string", "Class and attribute of the ORM whose first use issued it, e.g. `Order.items`."),
    Field("system", "string", "Database, in OpenTelemetry's `db.system.name`: postgresql, mysql, sqlite, …"),
    Field(
        "literals_from_request",
        "boolean",
        "True when literals in the statement's text are values of the request, other ones in other requests.",
    ),
)

FETCH = Shape(
    "fetch",
    "Fetch",
    "One outgoing HTTP call, its redirects included.",
    Field("url", "string", "Full URL; user info and secret parameters masked.", required=True),
    Field("method", "string", "Request method, upper case.", required=True),
    Field("status_code", "integer", "Response status; 0 when there was no answer.", required=True),
    Field(
        "duration",
        "number",
        "Milliseconds until the call returned.",
        required=True,
        record="duration_ms",
        aliases=("durationMs",),
    ),
    Field("fetch_id", "string", "16 hex digits, sent along as the parent of what the callee does.", aliases=("fetch_id",)),
    Field("source", "string", "Library that made it, e.g. `httpx`."),
    Field("callsite", "callsite", "Line of the app that made it.", record="call_site"),
    Field("error", "string", "Class name and text of the exception, when the call failed."),
    Field("request_size", "integer", "Bytes of the request body; missing when unknown."),
    Field("response_size", "integer", "Bytes of the response body; missing when unknown."),
    Field("has_timeout", "boolean", "False when the library waits for the answer without any limit; missing when unknown."),
)

LOG = Shape(
    "log",
    "Log",
    "One log record.",
    Field("level", "string", "Severity.", required=True, enum=LEVELS),
    Field("message", "string", "Text of the record.", required=True),
    Field("logger", "string", "Name of the logger."),
    Field("callsite", "callsite", "Line that logged.", record="call_site"),
    Field("exception", "exception", "The exception in flight, when the record carries one."),
    Field("error_id", "string", "Id of the error event of that exception."),
    Field("fields", "object", "Structured fields (`extra`), as text."),
    Field("masked", "masked[]", "What was masked in message and fields."),
)

ERROR = Shape(
    "error",
    "Error",
    "One exception.",
    Field("name", "string", "Class name.", required=True),
    Field("message", "string", "Text of the exception.", required=True),
    Field("stack", "string", "Formatted traceback.", seed=True),
    Field("frames", "frame[]", "The traceback, outermost first."),
    Field("causes", "cause[]", "What led to it, nearest first."),
    Field("handled", "boolean", "True when the app caught it and reported it."),
    Field("mechanism", "string", "Where it was seen: starlette, flask, thread, main, logging, capture_error."),
    Field("callsite", "callsite", "Innermost own frame.", record="call_site"),
)

AUTH_CHECK = Shape(
    "auth.check",
    "AuthCheck",
    "One authentication or permission check that ran.",
    Field("provider", "string", "Who checked: `session`, `jwt`, `flask-login`, …", required=True),
    Field("result", "string", "What came out: `allowed`, `denied`, `anonymous`, …", seed=True),
    Field("subject_kind", "string", "What was checked for: `user`, `service`, … Never who."),
    Field("checked", "string", "What was checked: a scope, a permission, a role."),
    Field("callsite", "callsite", "Line of the app that checked.", record="call_site"),
)

REQUEST = Shape(
    "request",
    "Request",
    "One incoming HTTP request, sent when the last byte of the response is out.",
    Field("id", "string", "32 hex digits.", required=True),
    Field("method", "string", "Request method, upper case.", required=True),
    Field("url", "string", "Path with query string; secret parameters masked.", required=True),
    Field("status_code", "integer", "Response status; 499 when the client left before there was one.", required=True),
    Field("duration_ms", "number", "Milliseconds until the last body byte.", default="0.0"),
    Field("headers", "object", "Request headers, names lower case, secrets masked.", default="{}"),
    Field(
        "response_headers", "object", "Response headers, names lower case, secrets masked; repeated ones joined.", default="{}"
    ),
    Field("request_body", "string", "First 10 240 bytes of a text body, scrubbed.", default="None"),
    Field("response_body", "string", "First 10 240 bytes of a text body, scrubbed.", default="None"),
    Field("request_size", "integer", "Bytes of the body that the app read."),
    Field("response_size", "integer", "Bytes of the body that was sent.", default="0"),
    Field("is_static", "boolean", "An asset or a page of the framework's own.", default="False"),
    Field("is_health_check", "boolean", "A probe.", default="False"),
    Field("route", "string", "Route template as the framework writes it, e.g. `/orders/{id}`; missing when none matched."),
    Field("path", "string", "Path without the query string.", default="''"),
    Field("client", "string", "Address of the client."),
    Field("response_start_ms", "number", "Milliseconds until the response headers."),
    Field("cookies", "cookie[]", "Cookies that the response sets."),
    Field("framework", "string", "Framework that answered, e.g. `fastapi`."),
    Field("http_version", "string", "e.g. `1.1`."),
    Field("scheme", "string", "http or https."),
    Field("messages_received", "integer", "WebSocket: messages from the client; the request lasts as long as the connection."),
    Field("messages_sent", "integer", "WebSocket: messages to the client."),
    Field("cancelled", "boolean", "The client left before the response was out."),
    Field("parent_fetch_id", "string", "`fetchId` of the call in another process that made this request."),
    Field("masked", "masked[]", "What was masked in URL and bodies."),
)

SPAN = Shape(
    "span",
    "Span",
    "A named stretch of work inside a request: `brakit.span(...)`, or a request's background tasks.",
    Field("name", "string", "What was done.", required=True),
    Field("duration", "number", "Milliseconds.", required=True, record="duration_ms"),
    Field("span_id", "string", "16 hex digits: the `parentId` of what happened inside.", required=True),
    Field("error", "string", "Class name and text of the exception that ended it."),
    Field("attributes", "object", "Names and values, as text."),
    Field("callsite", "callsite", "Line of the app that opened it.", record="call_site"),
)

JOB = Shape(
    "job",
    "Job",
    "One run of a background job, a scheduled task or a command, sent when it has ended. It owns what happens inside.",
    Field("id", "string", "32 hex digits.", required=True),
    Field("name", "string", "Name of the task or command.", required=True),
    Field("duration", "number", "Milliseconds.", required=True, record="duration_ms"),
    Field("source", "string", "Library that ran it, e.g. `celery`."),
    Field("status", "string", "How it ended: `succeeded`, `failed`, `retried`, `rejected`."),
    Field("queue", "string", "Queue that it came from."),
    Field("attempt", "integer", "Which attempt this was, from 1."),
    Field("wait_ms", "number", "Milliseconds between being enqueued and being started; missing when unknown."),
    Field("message_id", "string", "Id that the library gave it."),
    Field("error", "string", "Class name and text of the exception that ended it."),
    Field("callsite", "callsite", "Definition of the task's function.", record="call_site"),
)

KINDS = (QUERY, FETCH, LOG, ERROR, AUTH_CHECK, REQUEST, SPAN, JOB)

# What stands around the data.

EVENT = Shape(
    "event",
    "Event",
    "The envelope of one event.",
    Field("of", "integer[]", "The members of the payload's `shared` that the event consists of."),
    Field("type", "string", "Kind of the event; unknown kinds are kept as they are.", required=True),
    Field("timestamp", "number", "Start, Unix epoch milliseconds; missing or 0 means now.", seed=True),
    Field("request_id", "string", "The request that this event belongs to, as the seed defines it.", seed=True),
    Field("id", "string", "Id of the event."),
    Field("parent_id", "string", "The request, job or span in this process that owns the event; for a request: what caused it."),
    Field(
        "owner_id", "string", "The outermost request or job in this process that owns the event, where that is not `parentId`."
    ),
    Field("trace_id", "string", "32 hex digits, one for all that follows from one outermost request."),
)

RESOURCE = Shape(
    "resource",
    "Resource",
    "The process that sends.",
    Field("service", "string", "Name of the service: `BRAKIT_SERVICE`, else the name of the project's folder."),
    Field("pid", "integer", "Process id."),
    Field("started", "number", "Start of the process, Unix epoch milliseconds."),
    Field("host", "string", "Host name."),
    Field("runtime", "string", "e.g. `cpython 3.11.7`."),
    Field("framework", "string", "Framework seen first."),
    Field("instrumentations", "object", "Name and version of each instrumented library; a reason for each that was refused."),
    Field("failures", "object", "What failed in brakit itself: for each place, the text of the first failure."),
    Field("root", "string", "Project root: paths of call sites are relative to it."),
    Field("revision", "string", "Git revision of the project, where it is a checkout."),
)

PAYLOAD = Shape(
    "payload",
    "Payload",
    "The body of one POST.",
    Field("_brakit", "boolean", "Always true.", required=True),
    Field("version", "number", "Protocol version: 1.", required=True),
    Field("sdk", "string", "Name and version of the sender.", seed=True),
    Field(
        "events",
        "event[]",
        "The events, in the order of their emission; as rows, where the server reads them: see below.",
        required=True,
    ),
    Field("shared", "part[]", "What events have in common, once: see below."),
    Field("columns", "string[][]", "The fields of `data` that the values of rows are for: see below."),
    Field("base", "number", "The time that the times of rows are counted from, Unix epoch milliseconds."),
    Field("batch_id", "string", "Makes a resend idempotent: the same batch is stored once."),
    Field("resource", "resource", "The process that sends."),
    Field("dropped", "counts", "Events dropped since the last batch that arrived: a count for each reason."),
)


def camel(name: str) -> str:
    """The wire's name of a field: `row_count` → `rowCount`; a leading underscore stays."""
    head, *rest = name.lstrip("_").split("_")
    return "_" * (len(name) - len(name.lstrip("_"))) + head + "".join(word.capitalize() for word in rest)
