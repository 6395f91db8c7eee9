"""Salted password hashes."""

from __future__ import annotations

import hashlib
import hmac
import secrets

_COST = {"n": 2**12, "r": 8, "p": 1}


def hashed(password: str) -> str:
    """Return `salt$hash`, both hexadecimal."""
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **_COST).hex()}"


def matches(password: str, stored: str) -> bool:
    """Tell whether `password` is the one that `stored` was made from."""
    salt, _, expected = stored.partition("$")
    actual = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **_COST)
    return hmac.compare_digest(actual.hex(), expected)
