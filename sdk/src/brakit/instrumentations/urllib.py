"""urllib.request: outgoing HTTP calls, through OpenerDirector.open, which urlopen calls too; redirects lie inside.

Our ids are added where the request goes over the wire (`http.py`): the app's `Request` stays as it is. Not recorded: what is no HTTP
(`file:`, `data:`, `ftp:`).
"""

from __future__ import annotations

from brakit.guard import Raised
from brakit.instrumentations import _fetch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ""


def instrument(patch: Patches) -> None:
    patch.probe("urllib.request:OpenerDirector.open", open)


def open(call: Call) -> Generator[None, Any, None]:
    given = call.arg("fullurl")
    url = given if isinstance(given, str) else vars(given).get("_full_url")
    if _fetch.covered() or not isinstance(url, str) or not url[:8].lower().startswith(("http://", "https://")):
        return
    # A request says its method by a method of its own, which an app may replace: `http.py` sees what is sent.
    fetch = _fetch.Fetch(call.client, "urllib", None, url)
    try:
        response = yield
    except Raised as raised:
        _method(fetch, call, given)
        # An answer of 400 or more is raised here, as an HTTPError that has its status as `code`.
        fetch.fail(raised.error, getattr(raised.error, "code", 0))
    else:
        _method(fetch, call, given)
        fetch.finish(getattr(response, "status", 0), _fetch.size_of(getattr(response, "headers", None)))
    finally:
        fetch.uncover()


def _method(fetch: _fetch.Fetch, call: Call, given: Any) -> None:
    if fetch.record.data["method"] is None:
        data = call.arg("data") if isinstance(given, str) else vars(given).get("_data")
        fetch.record.data["method"] = "GET" if data is None else "POST"
