"""What libraries that read tokens have in common: one auth.check for each check, with its result and nothing of the token."""

from __future__ import annotations

import sys

from brakit import callsite
from brakit.guard import Raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call


def check(call: Call, module: str, checked: str | None = None) -> Generator[None, Any, None]:
    """The check of a token or of its claims. `module` has the errors of the library: what else is raised is misuse, no check."""
    errors = sys.modules[module]
    record = call.client.record("auth.check", provider="jwt", checked=checked)
    record.site = callsite.find(sys._getframe())
    try:
        yield
    except Raised as raised:
        if not isinstance(raised.error, errors.JoseError):
            return
        record.data["result"] = "expired" if isinstance(raised.error, errors.ExpiredTokenError) else "invalid"
    else:
        record.data["result"] = "valid"
    record.emit(call.client.buffer)
