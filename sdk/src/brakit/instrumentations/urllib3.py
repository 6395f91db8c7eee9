"""urllib3: outgoing HTTP calls of those who use it directly, through PoolManager.urlopen and HTTPConnectionPool.urlopen.

Redirects and retries lie inside one call. What requests, botocore and others do through urllib3 is recorded there. Our ids are added
where the request goes over the wire (`http.py`): neither headers of the app nor those of a pool are touched. Not carried over HTTP/2.
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

SUPPORTS = ">=1.26,<3"


def instrument(patch: Patches) -> None:
    patch.probe("urllib3:PoolManager.urlopen", urlopen)
    patch.probe("urllib3:HTTPConnectionPool.urlopen", urlopen)


def urlopen(call: Call) -> Generator[None, Any, None]:
    """The outermost of the calls that end up in each other."""
    if _fetch.covered():
        return
    url = call.arg("url")
    if isinstance(url, str) and url.startswith("/"):
        url = _origin(call.args[0]) + url
    fetch = _fetch.Fetch(call.client, "urllib3", call.arg("method"), url)
    try:
        response = yield
    except Raised as raised:
        fetch.fail(raised.error)
    else:
        fetch.finish(response.status, _fetch.size_of(response.headers))
    finally:
        fetch.uncover()


def _origin(pool: Any) -> str:
    host = f"[{pool.host}]" if ":" in pool.host else pool.host
    port = "" if pool.port in (None, 443 if pool.scheme == "https" else 80) else f":{pool.port}"
    return f"{pool.scheme}://{host}{port}"
