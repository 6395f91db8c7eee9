"""What a mask hides, in words that tell nothing of it: the name before it, what it looked like, how long it was.

Rules about secrets need to tell a password from a label (`"password": "Forgot it?"`) and from what the app has hidden itself. Takes
time linear in the length of the texts, on the sender's thread, and only where something was masked.
"""

from __future__ import annotations

import re

from brakit.sensitive import MASK, PATTERNS, strength, words

MAX_SEEN = 20
"""Masks of one text that are told of."""
MAX_LOOK = 512
"""Characters of a value that are looked at."""
MEDIUM, LONG = 8, 32
"""Characters from which a value is of medium length, or long."""

_NAME = re.compile(
    r"([A-Za-z_][\w.\-\[\]]{0,63})(?:[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:(?:bearer|basic|token|digest) )?|\s{1,4}(?:is )?)\Z",
    re.IGNORECASE,
)
_HIDDEN = re.compile(r"[*•xX#._\s-]+|.*(?:\*\*\*|xxxx|XXXX|••••|####).*|[\[<(]\w+[\])>]", re.DOTALL)
_WORDS = re.compile(r"[A-Za-z'’,;:!?()-]+(?: (?:[A-Za-z'’,;:!?().-]+|[0-9]{1,4}))+[.…]?")
_HASH = re.compile(next(look.pattern for look in PATTERNS if look.name == "password hash"))
_LOOKS = [(look.needles, re.compile(look.pattern, re.ASCII)) for look in PATTERNS if look.needles]


def seen(given: str, masked: str, place: str) -> list[dict[str, str]]:
    """The masks that stand in `masked` in place of something in `given`, each as the fields of `events.MASKED`, at most `MAX_SEEN`.

    What stands between the masks is looked for in `given`, one piece after the other; where one is missing, the rest is left out.
    """
    if given == masked:
        return []
    found: list[dict[str, str]] = []
    pieces = masked.split(MASK, MAX_SEEN + 1)
    at = 0
    for number in range(1, min(len(pieces), MAX_SEEN + 1)):
        before, following = pieces[number - 1], pieces[number]
        if number == 1:
            if not given.startswith(before.removesuffix('"')):
                break
            at = len(before)
        if before.endswith('"') and given[at - 1 : at] != '"':
            # A masked number has quotes that it did not have.
            at, following = at - 1, following.removeprefix('"')
        end = given.find(following, at) if following else len(given)
        if number == len(pieces) - 1 and following and given.endswith(following):
            end = max(at, len(given) - len(following))
        if end < 0:
            break
        value = given[at:end]
        if value and value != MASK:
            named = _NAME.search(before[-80:])
            # In a sentence any word may stand before it.
            name = named[1] if named and (":" in named[0] or "=" in named[0] or strength(named[1])) else ""
            about = described(value, name)
            if before.endswith("://"):
                about["look"] = "user info" if _credentials(value) else "hidden"
            found.append({"place": place, "name": name, **about})
        at = end + len(following)
    return found


def described(value: str, name: str = "") -> dict[str, str]:
    """The look and the length of a value that stands under `name`."""
    return {"look": look_of(value, name), "length": _length(value)}


def look_of(value: str, name: str = "") -> str:
    """`hidden` (by the app itself), `words` (a sentence, or a label that says its own name), `hash` (of a password), `key` (of a known
    kind), `number`, or `text`."""
    value = value[:MAX_LOOK].strip("\"' ")
    if _HIDDEN.fullmatch(value):
        return "hidden"
    if _HASH.search(value):
        return "hash"
    if any(any(map(value.__contains__, needles)) and look.search(value) for needles, look in _LOOKS):
        return "key"
    if value.replace("-", "").replace(" ", "").isdigit():
        return "number"
    if _WORDS.fullmatch(value) or (value.isalpha() and value.lower() in words(name).replace("-", "")):
        return "words"
    return "text"


def _credentials(value: str) -> bool:
    _, colon, password = value.rstrip("@").partition(":")
    return bool(colon) and bool(password) and not _HIDDEN.fullmatch(password)


def _length(value: str) -> str:
    return "short" if len(value) < MEDIUM else "medium" if len(value) < LONG else "long"
