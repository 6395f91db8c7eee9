"""FastAPI: the security dependencies of `fastapi.security`, each as an auth.check with its class, as they look for a credential.

`allowed` says that a credential of the right form was there; whether it is worth anything is for the app to find out, and is seen
where it does. `denied` is a 401 or 403 of the dependency's own, `anonymous` the None of one with `auto_error=False`. The call site is
the view that depends on it. The credential itself is not recorded. Requests are seen by Starlette's instrumentation.
"""

from __future__ import annotations

from brakit.guard import Raised
from brakit.instrumentations._view import definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=0.65"

DEPENDENCIES = {
    "fastapi.security.api_key": ("APIKeyQuery", "APIKeyHeader", "APIKeyCookie"),
    "fastapi.security.http": ("HTTPBase", "HTTPBasic", "HTTPBearer", "HTTPDigest"),
    "fastapi.security.oauth2": ("OAuth2", "OAuth2PasswordBearer", "OAuth2AuthorizationCodeBearer"),
    "fastapi.security.open_id_connect_url": ("OpenIdConnect",),
}


def instrument(patch: Patches) -> None:
    for module, names in DEPENDENCIES.items():
        for name in names:
            patch.probe(f"{module}:{name}.__call__", check)


def check(call: Call) -> Generator[None, Any, None]:
    request = call.arg("request")
    record = call.client.record("auth.check", provider=type(call.args[0]).__name__)
    record.site = definition(request.scope.get("endpoint")) if request is not None else None
    try:
        credential = yield
    except Raised as raised:
        if getattr(raised.error, "status_code", None) not in (401, 403):
            return
        record.data["result"] = "denied"
    else:
        record.data["result"] = "anonymous" if credential is None else "allowed"
    record.emit(call.client.buffer)
