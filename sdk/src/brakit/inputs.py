"""Does the text of a statement hold what the client has sent? Told as a yes, never as the value, on the sender's thread.

A literal that stands in the request once may be a coincidence (`status = 'open'` in the code, `?status=open` in the URL). It is said of
a statement when the same place of the same shape, from the same line, held two different values, each of which came with its request.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

from brakit.sql import summarize
from brakit.sqltext import LIMITS, TOKENS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from brakit.context import Owner

MAX_SQL = 2048
"""Characters of a statement that are looked at."""
MAX_SHAPES = 500
MAX_VALUES = 500
"""Values of one request that are looked at."""
MAX_VALUE = 200
"""Characters of a value: a longer one is not looked for."""
_IN_BODY = re.compile(r'[^"&=:,\[\]{}\s][^"&=,\[\]{}]*')
_FIXED = frozenset(("true", "false", "null"))


class Inputs:
    """What has been seen of statements that held values of their requests, of one process."""

    def __init__(self) -> None:
        self.shapes: dict[tuple[object, ...], dict[int, str]] = {}

    def in_text(self, sql: object, owner: Owner | None, site: object) -> bool:
        """Whether `sql`, issued for `owner` at `site` (anything to tell lines apart by), was built from what the client sends."""
        root = owner.root if owner is not None else None
        if type(sql) is not str or root is None or root.url is None or not _VALUE.search(sql[:MAX_SQL]):
            return False
        literals = literals_of(sql[:MAX_SQL])
        if not literals:
            return False
        sent = _sent(root)
        held = {place: literal for place, literal in literals.items() if literal in sent}
        if not held:
            return False
        key = (summarize(sql).shape_hash, site)
        known = self.shapes.get(key)
        if known is None:
            if len(self.shapes) >= MAX_SHAPES:
                self.shapes.clear()
            self.shapes[key] = held
            return False
        return any(known.setdefault(place, literal) != literal for place, literal in held.items())


_VALUE = re.compile(r"['\"]|\b\d")


def literals_of(sql: str) -> dict[int, str]:
    """Strings and numbers of a statement by their place among its tokens; not those of LIMIT and OFFSET, nor wildcards."""
    found: dict[int, str] = {}
    last = ""
    place = 0
    for match in TOKENS.finditer(sql):
        kind, text = match.lastgroup, match[0]
        if kind in ("space", "comment"):
            continue
        place += 1
        if kind == "string" or (kind == "double" and last in ("=", "LIKE", "ILIKE")):
            value = text.lstrip("eEnNbBxXuU&")[1:-1].replace("''", "'").strip("% ")
            if value and value.lower() not in _FIXED:
                found[place] = value
        elif kind == "number" and last not in LIMITS:
            found[place] = text
        last = text.upper()
    return found


def _sent(root: Owner) -> set[str]:
    """The values in the request's URL and body, decoded. Some that are none are among them: parts of numbers, names of fields."""
    path, _, query = (root.url or "").partition("?")
    values = {unquote_plus(part) for part in path.split("/")[:MAX_VALUES]}
    values |= {unquote_plus(pair.partition("=")[2]) for pair in query.split("&")[:MAX_VALUES]}
    body = root.body.content() if root.body is not None else None
    if body:
        text = body.decode("utf-8", "replace")
        form = text[:1] not in ("{", "[")
        for number, match in enumerate(_IN_BODY.finditer(text)):
            if number >= MAX_VALUES:
                break
            values.add(unquote_plus(match[0]) if form else match[0].strip())
    return {value.strip() for value in values if 0 < len(value) <= MAX_VALUE}
