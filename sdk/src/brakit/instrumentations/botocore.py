"""botocore (boto3 on top of it): one record for each API call, through BaseClient._make_api_call; its retries lie inside.

Method and URL are those of the first request that URLLib3Session.send sends. Requests are signed, so nothing is added to them. One
outside of an API call (credentials of the machine) is recorded by itself. Not recorded: a call that sends nothing, because its
parameters are wrong or a stub answers.
"""

from __future__ import annotations

from contextvars import ContextVar

from brakit import errors
from brakit.guard import Raised
from brakit.instrumentations import _fetch
from brakit.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=1.29,<2"

_calling: ContextVar[Record | None] = ContextVar("brakit_botocore_call", default=None)
"""The API call that is being made; it has no method until something is sent."""


def instrument(patch: Patches) -> None:
    patch.probe("botocore.client:BaseClient._make_api_call", make_api_call)
    patch.probe("botocore.httpsession:URLLib3Session.send", send)


def make_api_call(call: Call) -> Generator[None, Any, None]:
    if _fetch.covered():
        return
    fetch = _fetch.Fetch(call.client, "botocore", None, None, ids=False)
    # What an app's event handlers call in between is theirs; only the sending below is ours.
    fetch.uncover()
    before = _calling.get()
    _calling.set(fetch.record)
    try:
        answer = yield
        status, error = _status(answer), None
    except Raised as raised:
        status, error = _status(getattr(raised.error, "response", None)), errors.text_of(raised.error)
    finally:
        _calling.set(before)
    if fetch.record.data["method"] is not None:
        fetch.record.finish(call.client.buffer, status_code=status, error=error)


def send(call: Call) -> Generator[None, Any, None]:
    request = call.arg("request")
    record = _calling.get()
    if record is None:
        if not _fetch.covered():
            fetch = _fetch.Fetch(call.client, "botocore", request.method, request.url, ids=False)
            try:
                response = yield
            except Raised as raised:
                fetch.fail(raised.error)
            else:
                fetch.finish(response.status_code, _fetch.size_of(response.headers))
            finally:
                fetch.uncover()
        return
    if record.data["method"] is None:
        record.data["method"], record.data["url"] = _fetch.plain(request.method), _fetch.plain(request.url)
        record.data["request_size"] = _fetch.size_of(request.headers)
    before = _fetch.cover(record)
    try:
        yield
    except Raised:
        pass
    finally:
        _fetch.uncover(before)


def _status(answer: Any) -> int:
    metadata = answer.get("ResponseMetadata") if isinstance(answer, dict) else None
    status = metadata.get("HTTPStatusCode") if isinstance(metadata, dict) else None
    return status if type(status) is int else 0
