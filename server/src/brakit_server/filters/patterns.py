"""Regular expressions whose time grows with the length of the text and no faster: RE2, so that no pattern holds the server up."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import re2  # type: ignore[import-untyped]

MAX_MEMORY = 2 * 1024 * 1024
"""Bytes that one pattern may take."""

MAX_STEPS = 1_500
"""Instructions of a pattern: bounds what one character of a text can cost."""

KNOWN = 16
"""Patterns that are kept, with the memory that they have taken."""


class PatternError(Exception):
    """A pattern that RE2 does not take; the text says why."""


@lru_cache(maxsize=KNOWN)
def pattern(text: str) -> Callable[[str], bool]:
    """Whether a text has a part that the pattern matches. Raises `PatternError`."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = MAX_MEMORY
    try:
        compiled = re2.compile(text.encode("utf-8"), options)
        # What the library keeps of compiled patterns knows no bound in bytes.
        re2.purge()
    except UnicodeEncodeError:
        raise PatternError("half of a character stands in it") from None
    except re2.error as error:
        said = error.args[0] if error.args else b""
        raise PatternError(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from None

    if compiled.programsize > MAX_STEPS:
        raise PatternError("it is too large")
    search = compiled.search

    def found(value: str) -> bool:
        return search(value.encode("utf-8", "replace")) is not None

    return found
