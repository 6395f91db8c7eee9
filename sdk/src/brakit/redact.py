"""Masks secrets in headers, cookies, URLs, bodies, structured fields and free text.

What a secret is stands in `sensitive.py`; `pairs.py`, `phrases.py` and `quoting.py` know where in a text one stands. Every function
takes any string (lone surrogates and NUL included), never raises, takes time linear in the length of its input, and leaves its own
output as it is: `f(f(x)) == f(x)`. What is not a secret stays as it was, character for character.
"""

from __future__ import annotations

import re
from binascii import Error as NotBase64
from binascii import a2b_base64
from functools import lru_cache

from brakit import pairs, phrases, quoting
from brakit.pairs import SCHEMES, as_many_lines
from brakit.phrases import decoded
from brakit.sensitive import MASK, NAMES, OWN, PATTERNS, STEMS, Secret, name_secrets, strength, tells_nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["MASK", "NAMES", "PATTERNS", "Secret", "body", "cookies", "header", "object", "own", "route", "short", "text", "url"]


def _settled(value: str, once: Callable[[str], str]) -> str:
    """Repeat `once` until it changes nothing, since a mask can bring to light what stands beside it."""
    for _ in range(6):
        masked = once(value)
        if masked == value:
            return value
        value = masked
    return value


# Looks


def _jwt(found: re.Match[str]) -> str:
    head, _, rest = found[0].partition(".")
    return MASK if len(head) >= 10 and len(rest) >= 4 else found[0]


def _bearer(found: re.Match[str]) -> str:
    scheme, gap, value = found.groups()
    if scheme.lower() == "basic":
        try:
            plain = b":" in a2b_base64(value)
        except NotBase64:
            plain = False
        return scheme + gap + MASK if plain else found[0]
    if "=" in value.rstrip("="):
        # A pair, as in `token_type=bearer expires_in=3600`.
        return found[0]
    mixed = any(c.isdigit() for c in value) or (not value.islower() and not value.istitle() and not value.isupper())
    return scheme + gap + MASK if mixed or len(value) >= 24 else found[0]


def _card(found: re.Match[str]) -> str:
    digits = [int(c) for c in found[0] if c.isdigit()]
    tens = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return MASK if (sum(digits[-1::-2]) + sum(tens)) % 10 == 0 and any(digits[1:]) else found[0]


_BASE64_LINES = re.compile(r"(?:[A-Za-z0-9+/=\s]|\\[nr])*")
_PUTTY_KEY = re.compile(r"(Private-Lines: \d{1,6}\r?\n)((?:[A-Za-z0-9+/=]+(?:\r?\n|\Z))+)")


def _private_keys(value: str) -> str:
    out: list[str] = []
    at, more = 0, True
    while found := _BEGIN_KEY.search(value, at):
        out.append(value[at : found.end()])
        at = found.end()
        end = value.find("-----END", at) if more else -1
        if end < 0:
            more = False
            end = at if value.startswith(MASK, at) else len(_BASE64_LINES.match(value, at)[0]) + at  # type: ignore[index]
        out.append("" if end == at else as_many_lines(value[at:end]))
        at = end
    return "".join(out) + value[at:] if out else value


_HOW: dict[str, str | Callable[[re.Match[str]], str]] = {
    "user info": MASK + "@",
    "JWT": _jwt,
    "bearer": _bearer,
    "card number": _card,
}
_BY_NEEDLE: dict[str, list[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]]]] = {}
for _look in (look for look in PATTERNS if look.name != "private key"):
    for _needle in _look.needles:
        _sign = "$" if _look.name == "password hash" else next((c for c in "_-./:AJK" if c in _needle), "")
        _BY_NEEDLE.setdefault(_sign, []).append((_needle, re.compile(_look.pattern, re.ASCII), _HOW.get(_look.name, MASK)))
_LOOKS = [(sign, tuple([needle for needle, _, _ in looks]), looks) for sign, looks in _BY_NEEDLE.items()]
"""Looks with their needles, by a character that stands in the needle: a text without the character is done with all of them."""
_CARD = re.compile(PATTERNS[-1].pattern, re.ASCII)
_LONG_NUMBER = re.compile(r"[2-6][0-9]{3}[ -]?[0-9]{4}")
_BEGIN_KEY = re.compile(next(look.pattern for look in PATTERNS if look.name == "private key"))


# The public functions


def text(value: str) -> str:
    """Any text (a log message, an exception's text, a traceback) without its secrets."""
    if _says_nothing(value):
        return value
    masked = _text(value)
    return value if masked is value else _settled(masked, _text)


MAX_SENTENCE = 300
MAX_WORDS = 4096
_WORD = re.compile(r"[A-Za-z]{1,12}[.,!?]?")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,6})?(?:ms|s)?[.,]?")
_HINTS = (*STEMS, "basic")
_words: set[str] = set()
"""Words that have been judged: they are short, and no secret's name is in them."""


def _says_nothing(value: str) -> bool:
    """Whether a text is nothing but short words and numbers, none of which a look or a name begins with: most of what programs log.

    A tenth of the cost of a look. Every look and every place of a secret needs a longer word, a sign, a name or 13 digits.
    """
    if len(value) > MAX_SENTENCE or OWN.look is not None or OWN.names is not None:
        return False
    words = value.split()
    if _words.issuperset(words):
        return True
    digits = 0
    for word in words:
        if word in _words:
            continue
        if _NUMBER.fullmatch(word):
            digits += len(word)
            if digits > 12:
                return False
            continue
        lower = word.lower()
        if not _WORD.fullmatch(word) or any(map(lower.__contains__, _HINTS)):
            return False
        if len(_words) >= MAX_WORDS:
            _words.clear()
        _words.add(word)
    return True


_COLOURS = re.compile(r"\x1b\[[0-9;]{0,16}m")


def _text(value: str) -> str:
    if "\x1b[" in value:
        # They stand between a name and its value, and their end looks like the beginning of a word.
        bare = _COLOURS.sub("", value)
        masked = _uncoloured(bare)
        return value if masked == bare else masked
    return _uncoloured(value)


def _uncoloured(value: str) -> str:
    if "=" in value and ("%" in value or "+" in value):
        shown = _PARAMETERS.sub(_parameter_in_text, value)
        if shown != value:
            return _plain(shown)
    return _plain(value)


_PARAMETERS = re.compile(r"([?&;][\w.\-\[\]%]{1,80}=)([^\s&#\"'<>%+]*[%+][^\s&#\"'<>]*)", re.ASCII)


def _parameter_in_text(found: re.Match[str]) -> str:
    return found[1] + MASK if _hides(found[2]) else found[0]


def _hides(value: str) -> bool:
    """Whether a value of a query string has a secret in it that its encoding hides, up to three times over."""
    plain = value.replace("+", " ")
    for _ in range(3):
        before, plain = plain, decoded(plain)
        if plain == before:
            break
    return plain != value and (_plain(plain) != plain or _query(plain) != plain)


def _plain(value: str) -> str:
    given = value
    for sign, needles, looks in _LOOKS:
        if sign in value and any(map(value.__contains__, needles)):
            for needle, look, mask in looks:
                if needle in value:
                    value = look.sub(mask, value)
    if OWN.look is not None:
        value = OWN.look.sub(MASK, value)
    if "PRIVATE KEY" in value:
        value = _private_keys(value)
    elif "Private-Lines:" in value:
        value = _PUTTY_KEY.sub(lambda found: found[1] + as_many_lines(found[2]), value)
    value = quoting.masked(value)
    if "=" in value or ":" in value or "%" in value or "&" in value:
        value = _named(value)
    value = phrases.said(value)
    if _LONG_NUMBER.search(value):
        value = _CARD.sub(_card, value)
    return given if value == given else value


def _named(value: str) -> str:
    if len(value) > 300:
        lower = value.lower()
        if not any(stem in lower for stem in (*STEMS, *OWN.stems)) and "%" not in value and "\\u00" not in value:
            return value
    return phrases.masked(pairs.masked(value))


def url(value: str) -> str:
    """A URL, or a path with its query string: user info, secret parameters (in the fragment too) and values that look like
    secrets masked; all else byte for byte as it was."""
    base, asked, query = value.partition("?")
    if (
        _PLAIN_URL.fullmatch(base)
        and OWN.look is None
        and "hooks" not in base
        and (not asked or (_PLAIN_QUERY.fullmatch(query) and not any(map(strength, _QUERY_NAME.findall(query)))))
    ):
        return value
    if "=" not in value and "@" not in value:
        return text(value)
    return _settled(value, _url)


_PLAIN_URL = re.compile(
    r"(?:https?://[A-Za-z0-9-]{1,12}(?:\.[A-Za-z0-9-]{1,12}){0,8}(?::[0-9]{1,5})?)?(?:/[A-Za-z0-9.~-]{0,12}){0,20}"
)
_PLAIN_QUERY = re.compile(r"(?:[A-Za-z0-9_.-]{1,20}=[A-Za-z0-9.-]{0,12}(?:&(?!$)|$)){1,20}")
_QUERY_NAME = re.compile(r"([^=&]+)=")
"""Most URLs: nothing in them is long enough for a secret by its looks, or has a name before it. A quarter of the cost of a look."""


_USER_INFO = re.compile(r"^//(?!\*\*\*\*@)[^\s/?#]*@")
_DELIMITER = re.compile(r"([?&;#])")


def _url(value: str) -> str:
    return text(_query(_USER_INFO.sub(f"//{MASK}@", value)))


def _query(value: str) -> str:
    if "=" not in value:
        return value
    parts = _DELIMITER.split(value)
    out = [_parameter(parts[0])]
    asked = dropping = False
    for delimiter, part in zip(parts[1::2], parts[2::2], strict=True):
        if dropping and (delimiter == ";" or (delimiter == "?" and asked)):
            continue  # still inside the value that was masked
        asked = asked or delimiter == "?"
        masked = _parameter(part)
        dropping = masked != part
        out += (delimiter, masked)
    return "".join(out)


def _parameter(part: str) -> str:
    name, _, value = part.partition("=")
    if not value:
        return part
    if strength(decoded(name)):
        return part if tells_nothing(value) else f"{name}={MASK}"
    if ("%" in value or "+" in value) and _hides(value):
        return f"{name}={MASK}"
    return part


_URLS = frozenset(("referer", "location", "origin", "content-location", "x-original-url", "x-rewrite-url", "x-forwarded-uri"))
_HARMLESS = frozenset(("idempotency-key", "sec-websocket-key", "surrogate-key", "cache-key", "www-authenticate"))
_OPENS = re.compile(rf"\s*({SCHEMES})\s+\S", re.IGNORECASE)


def header(name: str, value: str) -> str:
    """The value of a header without its secrets: `Authorization` keeps its scheme, `Cookie` its names, `Set-Cookie` its names and
    flags; any other whose name is a secret's becomes the mask; the rest is masked as text."""
    lower = name.strip().lower()
    if lower == "cookie":
        return "; ".join(_cookie_pair(part.strip()) for part in value.split(";"))
    if lower in ("set-cookie", "set-cookie2"):
        return ", ".join(_set_cookie(part) for part in _SET_COOKIES.split(value))
    if lower in _URLS:
        return url(value)
    if lower in _HARMLESS or lower.startswith("access-control-"):
        return text(value)
    if lower == "sec-websocket-protocol":
        return ",".join(text(_PROTOCOL.sub(_protocol, part)) for part in value.split(","))
    if strength(lower) or lower.endswith("key"):
        if not value.strip() or value.startswith(MASK):
            return value
        scheme = _OPENS.match(value) if lower.endswith("authorization") else None
        return f"{scheme[1]} {MASK}" if scheme else MASK
    return text(value)


_PROTOCOL = re.compile(r"[A-Za-z0-9_~+/=-]{20,}\Z")


def _protocol(found: re.Match[str]) -> str:
    """Browsers send no headers of the app's with a WebSocket: tokens come as a protocol."""
    return MASK if any(map(str.isdigit, found[0])) and any(map(str.isalpha, found[0])) else found[0]


_SET_COOKIES = re.compile(r"[,\n][ \t]{0,8}(?=[^\s;,=]{1,256}=)")
_ATTRIBUTES = frozenset(
    ("domain", "path", "expires", "max-age", "secure", "httponly", "samesite", "priority", "partitioned", "version")
)


def _cookie_pair(part: str) -> str:
    name, equals, value = part.partition("=")
    if not equals:
        return MASK if part else ""
    return f"{_known_by(name)}={MASK}" if value else part


def _set_cookie(value: str) -> str:
    first, *attributes = (part.strip() for part in value.split(";"))
    kept = [part for part in attributes if part.partition("=")[0].strip().lower() in _ATTRIBUTES]
    return "; ".join((_cookie_pair(first), *map(text, kept)))


def cookies(set_cookie_values: list[str]) -> list[dict[str, str | bool]]:
    """The cookies that `Set-Cookie` values set, each as the fields of `events.COOKIE`: name and flags, never the value."""
    found = []
    for joined in set_cookie_values:
        for one in _SET_COOKIES.split(joined):
            first, *rest = (part.strip() for part in one.split(";"))
            name, equals, _ = first.partition("=")
            if not equals or not name:
                continue
            flags = {key.strip().lower(): value.strip().lower() for key, _, value in (part.partition("=") for part in rest)}
            cookie: dict[str, str | bool] = {
                "name": text(name.strip()),
                "secure": "secure" in flags,
                "http_only": "httponly" in flags,
                "expires": "expires" in flags or "max-age" in flags,
            }
            if "samesite" in flags:
                cookie["same_site"] = text(flags["samesite"])
            found.append(cookie)
    return found


def own(entries: Iterable[str]) -> None:
    """Mask `entries` as well, in place of those of the last call: `tenant_ref` is a name of secrets, in any spelling; `acme_*` says how
    words begin that are some. A beginning of less than three characters is left out."""
    name_secrets(entries)
    short.cache_clear()


def route(value: str) -> str:
    """The template of a route: its parameters (`{token:path}`, `<str:token>`) name no values."""
    return "".join([part if part[:1] in ("{", "<") else text(part) for part in _PARAMETER.split(value)])


_PARAMETER = re.compile(r"(\{[^{}]{0,200}\}|<[^<>]{0,200}>)")


@lru_cache(maxsize=2048)
def short(value: str) -> str:
    """The same as `text`, for what repeats: names of loggers, models, frameworks, functions, files."""
    return text(value)


def body(value: str, content_type: str = "") -> str:
    """A request's or response's body, whole or cut off: values under secret names and values that look like secrets masked.

    `content_type` is the header's value. JSON stays JSON: a masked number becomes a string."""
    if "urlencoded" in content_type.lower():
        return _settled(value, lambda form: text(_query(form)))
    return text(value)


def object(fields: dict[str, str]) -> dict[str, str]:
    """Structured fields: values under secret names masked, the others masked as text."""
    return {_known_by(name): _field(name, value) for name, value in fields.items()}


def _field(name: str, value: str) -> str:
    if strength(name):
        return value if not value or tells_nothing(value) else MASK
    # What logs of statements bring along.
    return text(quoting.literals(value) if name in _STATEMENTS else value)


_STATEMENTS = frozenset(("sql", "statement", "query", "db.statement", "db.query.text"))


def _known_by(name: str) -> str:
    """A name that may be a secret itself: who keeps a dict by token has tokens for names."""
    return text(name) if len(name) >= MIN_LOOK else name


MIN_LOOK = 12
"""Characters of a name that may have the look of a secret."""
