"""joserfc: every token that is decoded, through `jwt.decode`, and every check of claims, each as an auth.check.

The result is `valid`, `expired` or `invalid` (for whatever other reason). Neither the token nor a claim of it is recorded.
"""

from __future__ import annotations

from brakit.instrumentations._tokens import check

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=1.0"


def instrument(patch: Patches) -> None:
    patch.probe("joserfc.jwt:decode", decode)
    patch.probe("joserfc.jwt:JWTClaimsRegistry.validate", validate)


def decode(call: Call) -> Generator[None, Any, None]:
    return check(call, "joserfc.errors")


def validate(call: Call) -> Generator[None, Any, None]:
    return check(call, "joserfc.errors", "claims")
