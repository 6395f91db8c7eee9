"""The payload as a receiver that is written in an afternoon would type it: no redaction, no limits, no reasons for what is wrong."""

from __future__ import annotations

from typing import Any

import msgspec


class Data(msgspec.Struct, rename="camel", omit_defaults=True):
    """What every kind's data may have; of events in parts, some of it stands in a part."""

    duration: float | None = None
    duration_ms: float | None = None
    callsite: dict[str, Any] | None = None


class QueryData(Data, kw_only=True):
    operation: str = ""
    table: str = ""
    sql: str | None = None
    source: str | None = None
    system: str | None = None
    row_count: int | None = None
    shape: str | None = None
    shape_hash: str | None = None
    params_hash: str | None = None
    fetch_ms: float | None = None
    connection_id: str | None = None
    transaction_id: str | None = None


class FetchData(Data, kw_only=True):
    url: str = ""
    method: str = ""
    status_code: int = 0
    source: str | None = None
    fetch_id: str | None = None
    response_size: int | None = None


class LogData(Data, kw_only=True):
    level: str = ""
    message: str = ""
    logger: str | None = None


class RequestData(Data, kw_only=True):
    id: str
    method: str = ""
    url: str = ""
    path: str | None = None
    route: str | None = None
    status_code: int = 0
    headers: dict[str, str] = {}
    response_headers: dict[str, str] = {}
    request_body: str | None = None
    response_body: str | None = None
    response_size: int | None = None


class SpanData(Data, kw_only=True):
    name: str = ""
    span_id: str = ""
    attributes: dict[str, str] = {}


class ErrorData(Data, kw_only=True):
    name: str = ""
    message: str = ""
    stack: str | None = None


class Event(msgspec.Struct, rename="camel", tag_field="type", kw_only=True):
    timestamp: float = 0.0
    id: str | None = None
    request_id: str | None = None
    parent_id: str | None = None
    trace_id: str | None = None


class Query(Event, tag="db.query", kw_only=True):
    data: QueryData


class Fetch(Event, tag="fetch", kw_only=True):
    data: FetchData


class Log(Event, tag="log", kw_only=True):
    data: LogData


class Request(Event, tag="request", kw_only=True):
    data: RequestData


class Span(Event, tag="span", kw_only=True):
    data: SpanData


class Error(Event, tag="error", kw_only=True):
    data: ErrorData


class Payload(msgspec.Struct):
    """Events that are whole."""

    events: list[Query | Fetch | Log | Request | Span | Error]


_encode = msgspec.json.Encoder().encode
_TYPES = {Query: "db.query", Fetch: "fetch", Log: "log", Request: "request", Span: "span", Error: "error"}


def rows(payload: Payload) -> list[tuple[str | None, str, float, str]]:
    """One row an event: the request's id, the kind, the time, the data as JSON."""
    return [(event.request_id, _TYPES[type(event)], event.timestamp, _encode(event.data).decode()) for event in payload.events]
