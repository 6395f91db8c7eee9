"""The two tokens of a server that others can reach: the files that they lie in, who has one, and who has tried too often.

The write token is for SDKs and lets nobody read; the read token is for people and agents and lets nobody send. A person gives the
read token once, to the log-in page, and has a signed cookie from then on. Nothing of a session is kept: who renews the token ends them
all.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import os
import secrets
import stat
import time
from collections.abc import Callable
from pathlib import Path

READ_FILE = "read-token"
WRITE_FILE = "write-token"
TRIES = 10
"""Wrong tokens that one address may send within `LOCKED_SECONDS`."""

LOCKED_SECONDS = 60.0
SESSION_SECONDS = 7 * 86_400
ADDRESSES = 4_096
"""Of which wrong tries are remembered at a time."""


class TokenError(Exception):
    """A token's file cannot be used; the text says why."""


class Locked(Exception):
    """The address has sent too many wrong tokens. `seconds`: when to come back."""

    def __init__(self, seconds: float) -> None:
        super().__init__("Too many wrong tokens")
        self.seconds = max(1, round(seconds))


def read(path: Path) -> str | None:
    """The token in a file; None when there is no file. Raises `TokenError` where others could have read or written it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise TokenError(f"{path} cannot be opened: {error.strerror}.") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise TokenError(f"{path} is not a regular file.")
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise TokenError(f"{path} can be read by others: `chmod 600` it, or better renew it with `brakit tokens --renew`.")
        return os.read(descriptor, 4096).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)


def fresh() -> str:
    """A new token: 256 bits."""
    return secrets.token_urlsafe(32)


class Tokens:
    """Who may come in. `read` and `write` are the tokens; the clock counts seconds."""

    def __init__(self, read: str, write: str, clock: Callable[[], float] = time.time) -> None:
        self._read = _digest(read.encode())
        self._write = _digest(write.encode())
        self._key = hmac.digest(read.encode(), b"brakit session", "sha256")
        self._clock = clock
        self._wrong: dict[tuple[str, bool], tuple[float, int]] = {}
        """Address, and whether it tried to write → since when, and how often."""

    def may_write(self, given: bytes, address: str) -> bool:
        """Whether it is the write token. Who has the right one is never locked out by others behind the same address: a container with
        an old token must not silence the others. Raises `Locked` for a wrong one after many."""
        if hmac.compare_digest(_digest(given), self._write):
            return True
        self._count(address, writes=True)
        return False

    def may_read(self, given: bytes, address: str) -> bool:
        """Whether it is the read token. Raises `Locked` after many wrong ones, whatever this one is."""
        self._check(address, writes=False)
        if hmac.compare_digest(_digest(given), self._read):
            return True
        self._count(address, writes=False)
        return False

    def may_greet(self, given: bytes, address: str) -> bool:
        """Whether it is one of the two. Raises `Locked`."""
        return hmac.compare_digest(_digest(given), self._write) or self.may_read(given, address)

    def session(self) -> str:
        """The value of a new cookie: when it ends, and our signature under that."""
        ends = str(int(self._clock() + SESSION_SECONDS))
        return f"{ends}.{self._signature(ends)}"

    def is_session(self, value: str) -> bool:
        """Whether a cookie's value is ours and has not ended."""
        ends, _, signature = value.partition(".")
        if not (ends.isascii() and ends.isdigit() and len(ends) < 16 and signature.isascii()):
            return False
        return hmac.compare_digest(signature, self._signature(ends)) and int(ends) > self._clock()

    def _signature(self, ends: str) -> str:
        return hmac.digest(self._key, ends.encode(), "sha256").hex()

    def _check(self, address: str, *, writes: bool) -> None:
        since, tries = self._wrong.get((_network(address), writes), (0.0, 0))
        left = since + LOCKED_SECONDS - self._clock()
        if tries >= TRIES and left > 0:
            raise Locked(left)

    def _count(self, address: str, *, writes: bool) -> None:
        self._check(address, writes=writes)
        now = self._clock()
        key = (_network(address), writes)
        since, tries = self._wrong.pop(key, (now, 0))
        if now >= since + LOCKED_SECONDS:
            since, tries = now, 0
        while len(self._wrong) >= ADDRESSES:
            del self._wrong[next(iter(self._wrong))]
        # Behind the others: what is forgotten first is what was quiet longest.
        self._wrong[key] = (since, tries + 1)


def _digest(token: bytes) -> bytes:
    # Of equal length, so that comparing says nothing about the length either.
    return hashlib.sha256(token).digest()


def _network(address: str) -> str:
    """The address, or the part of an IPv6 one that whoever has it cannot change at will."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if known.version == 4:
        return address
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, 64), strict=False))
