"""PyJWT: every token that is decoded, as an auth.check, through PyJWT.decode_complete.

The result is `valid`, `expired` or `invalid` (for whatever other reason), or `unverified` where the app has switched the check of the
signature off. Neither the token nor a claim of it is recorded.
"""

from __future__ import annotations

import sys

from brakit import callsite
from brakit.guard import Raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=2.4"


def instrument(patch: Patches) -> None:
    # `jwt.decode` and `PyJWT.decode` call the method; `jwt.decode_complete`, from 2.8 on, is a method that was bound before us.
    patch.probe("jwt.api_jwt:PyJWT.decode_complete", decode)
    if hasattr(sys.modules["jwt"], "decode_complete"):
        patch.probe("jwt:decode_complete", decode_bound)


def decode(call: Call) -> Generator[None, Any, None]:
    return check(call, call.arg("options"))


def decode_bound(call: Call) -> Generator[None, Any, None]:
    # A bound method's names begin with `self`, which is not among its arguments.
    options = call.kwargs.get("options", call.args[3] if len(call.args) > 3 else None)
    return check(call, options)


def check(call: Call, options: Any) -> Generator[None, Any, None]:
    exceptions = sys.modules["jwt.exceptions"]
    record = call.client.record("auth.check", provider="jwt")
    record.site = callsite.find(sys._getframe())
    try:
        yield
    except Raised as raised:
        if not isinstance(raised.error, exceptions.PyJWTError):
            # Misuse: nothing was checked.
            return
        record.data["result"] = "expired" if isinstance(raised.error, exceptions.ExpiredSignatureError) else "invalid"
    else:
        unverified = type(options) is dict and options.get("verify_signature") is False
        record.data["result"] = "unverified" if unverified else "valid"
    record.emit(call.client.buffer)
