"""Authlib: requests that a ResourceProtector checks (OAuth 1 and 2), and tokens that `authlib.jose` decodes, each as an auth.check.

A request is `allowed`, `anonymous` (it has no credential), `invalid` (the credential is not good) or `denied`; what was checked are the
scopes. Where a decorator asks, the line is the view that it guards. Tokens that Authlib reads by joserfc are recorded by `joserfc.py`,
the fetch of a token by that of its HTTP client. Not recorded: a token, whom it stands for, and what an authorization server checks.
"""

from __future__ import annotations

import sys

from brakit import callsite
from brakit.guard import Raised
from brakit.instrumentations._tokens import check
from brakit.instrumentations._view import definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import CodeType
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=1.3"

RESULTS = {
    "missing_authorization": "anonymous",
    "missing_required_parameter": "anonymous",
    "invalid_token": "invalid",
    "unsupported_token_type": "invalid",
    "invalid_signature": "invalid",
    "invalid_nonce": "invalid",
    "invalid_client": "invalid",
}
"""By the error's code in the protocol; every other one is `denied`."""
MAX_FRAMES = 8
MAX_SCOPES = 20


def instrument(patch: Patches) -> None:
    patch.probe("authlib.oauth2.rfc6749.resource_protector:ResourceProtector.validate_request", validate_oauth2)
    patch.probe("authlib.oauth1.rfc5849.resource_protector:ResourceProtector.validate_request", validate_oauth1)
    patch.probe("authlib.jose.rfc7519.jwt:JsonWebToken.decode", decode)
    patch.probe("authlib.jose.rfc7519.claims:JWTClaims.validate", validate_claims)


def validate_oauth2(call: Call) -> Generator[None, Any, None]:
    return _protect(call, "oauth2", call.arg("scopes"))


def validate_oauth1(call: Call) -> Generator[None, Any, None]:
    return _protect(call, "oauth1", None)


def decode(call: Call) -> Generator[None, Any, None]:
    return check(call, "authlib.jose.errors")


def validate_claims(call: Call) -> Generator[None, Any, None]:
    return check(call, "authlib.jose.errors", "claims")


def _protect(call: Call, provider: str, scopes: Any) -> Generator[None, Any, None]:
    base = sys.modules["authlib.common.errors"].AuthlibHTTPError
    record = call.client.record("auth.check", provider=provider, checked=_scopes(scopes))
    record.site = _guarded() or callsite.find(sys._getframe())
    try:
        yield
    except Raised as raised:
        if not isinstance(raised.error, base):
            # Something of the app's has failed before there was a result.
            return
        record.data["result"] = RESULTS.get(str(raised.error.error), "denied")
    else:
        record.data["result"] = "allowed"
    record.emit(call.client.buffer)


def _scopes(scopes: Any) -> str | None:
    if type(scopes) is str:
        return scopes
    names = [scope for scope in scopes if type(scope) is str] if type(scopes) in (list, tuple) else []
    return " ".join(names[:MAX_SCOPES]) or None


def _guarded() -> tuple[CodeType, int] | None:
    """The view below Authlib's decorator, when that is what asks."""
    frame = sys._getframe(2)
    for _ in range(MAX_FRAMES):
        if frame.f_code.co_name == "decorated" and "authlib" in frame.f_code.co_filename:
            return definition(frame.f_locals.get("f"))
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None
