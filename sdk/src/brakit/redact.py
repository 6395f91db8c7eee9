"""Masks secrets in headers, cookies, URLs, bodies, structured fields and free text.

What a secret is stands in `sensitive.py`. Every function takes any string (lone surrogates and NUL included), never raises,
takes time linear in the length of its input, and leaves its own output as it is: `f(f(x)) == f(x)`. What is not a secret stays
as it was, character for character.
"""

from __future__ import annotations

import re
from binascii import Error as NotBase64
from binascii import a2b_base64

from brakit.sensitive import MASK, NAMES, PATTERNS, STEMS, Secret, strength, tells_nothing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MASK", "NAMES", "PATTERNS", "Secret", "body", "cookies", "header", "object", "text", "url"]


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
    mixed = any(c.isdigit() for c in value) or (not value.islower() and not value.istitle() and not value.isupper())
    return scheme + gap + MASK if mixed or len(value) >= 24 else found[0]


def _card(found: re.Match[str]) -> str:
    digits = [int(c) for c in found[0] if c.isdigit()]
    tens = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return MASK if (sum(digits[-1::-2]) + sum(tens)) % 10 == 0 and any(digits[1:]) else found[0]


_BASE64_LINES = re.compile(r"(?:[A-Za-z0-9+/=\s]|\\[nr])*")


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
            out.append("" if end == at else MASK)
        else:
            out.append(MASK)
        at = end
    return "".join(out) + value[at:] if out else value


_HOW: dict[str, str | Callable[[re.Match[str]], str]] = {
    "user info": MASK + "@",
    "JWT": _jwt,
    "bearer": _bearer,
    "card number": _card,
}
_LOOKS: dict[str, list[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]]]] = {}
"""Looks with their needles, by a character that stands in the needle: a text without the character is done with all of them."""
for _look in (look for look in PATTERNS if look.name != "private key"):
    for _needle in _look.needles:
        _sign = next((c for c in "_-./" if c in _needle), "")
        _LOOKS.setdefault(_sign, []).append((_needle, re.compile(_look.pattern, re.ASCII), _HOW.get(_look.name, MASK)))
_CARD = re.compile(PATTERNS[-1].pattern, re.ASCII)
_LONG_NUMBER = re.compile(r"[2-6][0-9]{3}[ -]?[0-9]{4}")
_BEGIN_KEY = re.compile(next(look.pattern for look in PATTERNS if look.name == "private key"))


# Names with their values


_BACK = re.compile(
    r"[ \t]{0,8}\]?([\"']\\{0,3})?([\w.\-]+(?: (?:ipa|ssecca|terces|etavirp|drac|noisses|ytiruces|emit-eno)(?!\w))?)",
    re.ASCII | re.IGNORECASE,
)
"""A name read backwards from its separator; of names in two words the first ones stand there, backwards too."""
_SECOND = frozenset(("key", "keys", "code", "odes", "mber", "id"))
"""Ends of words that name a secret only together with the word before them, as in `api key`."""
_SEPARATOR = re.compile(r"(?:=>|:=|={1,3}|:)[ \t]{0,8}")
_OPEN = re.compile(r"\s{0,64}[bBuUrRfF]{0,2}(\\{0,3}[\"'])")
_STRING = {'"': re.compile(r'(?:[^"\\\n]|\\.)*'), "'": re.compile(r"(?:[^'\\\n]|\\.)*")}
_BARE = re.compile(r"[^\s&;,\"'<>)\]}|]+")
_BARE_START = re.compile(r"[^\s&;,\"'<>)\]}|]{1,100}")
_LINE = re.compile(r"[^\r\n]*")
_COOKIES = re.compile(r"[^\r\n\"']*")
_LISTS = ("di", "aw", "oa", "ha", "si")
"""How the schemes begin whose credentials are a list of parameters."""
_SCHEMES = "Basic|Bearer|Digest|Token|ApiKey|Api-Key|Key|JWT|DPoP|Negotiate|NTLM|Hawk|OAuth|Signature|SSWS|GNAP|AWS4-HMAC-SHA256"
_SCHEME = re.compile(rf"(?:{_SCHEMES})(?:\s|%20|\+){{1,4}}(?=\S)", re.IGNORECASE)
_COOKIE_PAIR = re.compile(r"[^\s=;,\"']{1,128}=")
_CONTAINER_PART = re.compile(
    r"[bBuU]?(\"(?:[^\"\\]|\\.)*\"?|'(?:[^'\\]|\\.)*'?)|([\[{(])|([\]})])|([^\s\[\]{}(),:\"']+)", re.DOTALL
)
_CODE = re.compile(
    r"[A-Za-z_][\w.]*\([\w., =*]{0,120}\)|(?:self|cls|settings|config|request|user|form|data|payload|args)"
    r"\.[A-Za-z_][\w.]*(?![^\s,;)\]}])"
    r"|(?:[A-Za-z_]\w*\.){0,4}(?:environ|getenv|get|pop|form|headers|cookies|json|config|data|session|args|params)[\[(]"
)
"""A line of source that reads the value from somewhere."""
_COLON = re.compile(r"\s*:")
_CONTAINER = re.compile(r"[\[{]\s{0,64}[\[{\"'\d\]}]")


def _pairs(value: str) -> str:
    """Mask the values of `name=value`, `name: value`, `"name": value`, `name => value`."""
    out: list[str] = []
    done = at = 0
    equals, colon = value.find("="), value.find(":")
    while equals >= 0 or colon >= 0:
        sign = equals if colon < 0 or 0 <= equals < colon else colon
        before = value[max(at, sign - 80) : sign]
        at = sign + 1
        if not _harmless(before):
            found = _BACK.match(before[::-1])
            weight = strength(found[2][::-1]) if found else 0
            if found and weight and (weight == 2 or found[1] or value[sign] == "="):
                quote = (found[1] or "")[::-1]
                at = _SEPARATOR.match(value, sign).end()  # type: ignore[union-attr]
                at, start, mask = _value(value, at, found[2][::-1], quote, weight)
                if mask:
                    out.append(value[done:start] + mask)
                    done = at
        if 0 <= equals < at:
            equals = value.find("=", at)
        if 0 <= colon < at:
            colon = value.find(":", at)
    return "".join(out) + value[done:] if out else value


def _harmless(before: str) -> bool:
    """Whether the text before a separator ends in a plain word or a JSON key that names no secret: most do, and this is cheaper
    than to read the name backwards."""
    if before[-1:] == '"':
        if before[-2:-1] == "\\":
            return False
        start = before.rfind('"', 0, -1)
        return start >= 0 and not strength(before[start + 1 : -1])
    word = before[before.rfind(" ") + 1 :]
    return word.isidentifier() and word[-4:].lower() not in _SECOND and not strength(word)


def _value(value: str, at: int, name: str, quote: str, weight: int) -> tuple[int, int, str]:
    """Where the value at `at` ends, where its secret part begins, and what to put in its place (empty: leave it)."""
    opened = _OPEN.match(value, at)
    if opened and (quote or "\n" not in opened[0]):
        start = opened.end()
        end = _end_of_string(value, start, opened[1])
        scheme = _SCHEME.match(value, start, end)
        if scheme:
            start = scheme.end()
        return end, start, "" if tells_nothing(value[start:end]) else MASK
    if weight == 2 and _CONTAINER.match(value, at):
        return _container(value, at, quote)
    if value.startswith("//", at) or (name[-3:].lower() == "pwd" and value.startswith(("/", "~"), at)):
        return at, at, ""
    if "ookie" in name and not _COOKIE_PAIR.match(value, at):
        return at, at, ""
    scheme = _SCHEME.match(value, at)
    if scheme:
        at = scheme.end()
    head = _BARE_START.match(value, at)
    if not head or tells_nothing(head[0]) or _CODE.match(value, at):
        return (at + len(MASK) if value.startswith(MASK, at) else at), at, ""
    form = _BARE
    if "ookie" in name:
        form = _COOKIES
    elif scheme and scheme[0][:2].lower() in _LISTS:
        form = _LINE
    end = form.match(value, at).end()  # type: ignore[union-attr]
    return end, at, quote + MASK + quote if quote[-1:] == '"' else MASK


def _end_of_string(value: str, start: int, quote: str) -> int:
    if len(quote) == 1:
        return _STRING[quote].match(value, start).end()  # type: ignore[union-attr]
    line = value.find("\n", start)
    line = len(value) if line < 0 else line
    end = start
    while (end := value.find(quote, end, line)) >= 0:
        if value[end - 1] != "\\":
            return end
        end += len(quote)
    return line


def _container(value: str, at: int, quote: str) -> tuple[int, int, str]:
    """A list or an object under a secret's name: every scalar in it is masked, keys stay."""
    out: list[str] = []
    done = start = at
    depth = 0
    for part in _CONTAINER_PART.finditer(value, at):
        string, opening, closing, scalar = part.groups()
        if opening:
            depth += 1
        elif closing:
            depth -= 1
            if depth == 0:
                break
        else:
            text_at, end = part.start(1 if string else 4), part.end()
            if _COLON.match(value, end):
                continue
            inner = string[1:-1] if string and string[-1] == string[0] and len(string) > 1 else (string or "")[1:] or scalar
            if inner and not tells_nothing(inner):
                mark = string[0] if string else quote
                out.append(value[done:text_at] + mark + MASK + mark)
                done = end
    else:
        part = None
    end = part.end() if part else len(value)
    return end, start, "".join(out) + value[done:end] if out else ""


_FLAG = re.compile(r"(?<!\S)--?([A-Za-z][\w-]{1,63})[ ]+(?!-)([^\s\"']+)")
_ELEMENT = re.compile(r"<([\w:.\-]{1,80})(?:\s[^<>]{0,200})?>([^<]+)(?=</)")
_TUPLE = re.compile(r"(\(b?[\"']([\w-]{2,64})[\"'],\s?b?([\"']))([^\"'\n]+)")
_ENCODED = re.compile(
    r"(?<![\w.\-])((?:(?<=%)[0-9A-Fa-f]{2})?)(\w[\w.\-]*)(%(?:25)?3[dD]|%22%3[aA](?:%20|\+)?%22)((?:[^\s&\"'<>%]|%(?!26|25|22))+)",
    re.ASCII,
)
_PERCENT_NAME = re.compile(r"([?&#;])((?:[\w.\-\[\]]|%[0-9A-Fa-f]{2})+)=([^\s&#\"'<>]+)", re.ASCII)
_LABELLED = re.compile(
    r"((?:\"loc\"\s?:\s?\[[^\]\n]{0,120}?\"([^\"\n]{1,64})\"\s?\]|\bname=[\"']([^\"'\n]{1,64})[\"']|\"(?:name|key)\"\s?:\s?\"([^\"\n]{1,64})\")"
    r"[^{}<>\n]{0,120}?(?:\"input\"|\bvalue|\"value\")\s?[=:]\s?([\"']))((?:[^\"'\\\n]|\\.)+)"
)
_PART = re.compile(r"((?:^|[\s;])name=\"?([^\"\r\n;]{1,64})\"?[^\r\n]*\r?\n(?:[^\r\n]{1,200}\r?\n){0,4}\r?\n)([^\r\n]+)")
_ESCAPED_KEY = re.compile(r"(\"([^\"\s]{0,64}\\u00[^\"\s]{0,128})\"\s{0,8}:\s{0,8}\")((?:[^\"\\\n]|\\.)+)")


def _second(found: re.Match[str]) -> str:
    """`--name value`, `<name>value`: the value is the last group, the name the first."""
    name, value = found[1], found[2]
    if not strength(name) or tells_nothing(value.strip()):
        return found[0]
    return found[0][: -len(value)] + MASK


def _after_name(found: re.Match[str]) -> str:
    """The whole lead is the first group, the value the last, and the name is the one other group that matched."""
    name = next(filter(None, found.groups()[1:-1]), "")
    return found[0] if not strength(_decoded(name)) or tells_nothing(found[found.lastindex or 0]) else found[1] + MASK


def _encoded_pair(found: re.Match[str]) -> str:
    escape, name, sign, value = found.groups()
    return escape + name + sign + MASK if strength(name) and not tells_nothing(value) else found[0]


def _percent_pair(found: re.Match[str]) -> str:
    lead, name, value = found.groups()
    return f"{lead}{name}={MASK}" if strength(_decoded(name)) and not tells_nothing(value) else found[0]


_ESCAPE = re.compile(r"(?:%|\\u00)([0-9A-Fa-f]{2})")


def _decoded(value: str) -> str:
    """Percent and JSON escapes resolved byte by byte: enough to read a name, not to show it."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), value)


# The public functions


def text(value: str) -> str:
    """Any text (a log message, an exception's text, a traceback) without its secrets."""
    masked = _text(value)
    return value if masked is value else _settled(masked, _text)


def _text(value: str) -> str:
    given = value
    for sign, looks in _LOOKS.items():
        if sign in value:
            for needle, look, mask in looks:
                if needle in value:
                    value = look.sub(mask, value)
    if "PRIVATE KEY" in value:
        value = _private_keys(value)
    if "=" in value or ":" in value or "%" in value:
        value = _named(value)
    if "--" in value:
        value = _FLAG.sub(_second, value)
    if "</" in value:
        value = _ELEMENT.sub(_second, value)
    if "('" in value or "(b'" in value or '("' in value:
        value = _TUPLE.sub(_tuple, value)
    if _LONG_NUMBER.search(value):
        value = _CARD.sub(_card, value)
    return given if value == given else value


def _tuple(found: re.Match[str]) -> str:
    return found[1] + MASK if strength(found[2]) and not tells_nothing(found[4]) else found[0]


def _named(value: str) -> str:
    if len(value) > 300:
        lower = value.lower()
        if not any(stem in lower for stem in STEMS) and "%" not in value and "\\u00" not in value:
            return value
    value = _pairs(value)
    if "%" in value:
        value = _ENCODED.sub(_encoded_pair, value)
        value = _PERCENT_NAME.sub(_percent_pair, value)
    if "\\u00" in value:
        value = _ESCAPED_KEY.sub(_after_name, value)
    if "value" in value or '"input"' in value:
        value = _LABELLED.sub(_after_name, value)
    if "name=" in value and "\n" in value:
        value = _PART.sub(_after_name, value)
    return value


def url(value: str) -> str:
    """A URL, or a path with its query string: user info, secret parameters (in the fragment too) and values that look like
    secrets masked; all else byte for byte as it was."""
    base, asked, query = value.partition("?")
    if _PLAIN_URL.fullmatch(base) and (
        not asked or (_PLAIN_QUERY.fullmatch(query) and not any(map(strength, _QUERY_NAME.findall(query))))
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
    if strength(_decoded(name)):
        return part if tells_nothing(value) else f"{name}={MASK}"
    if "%" in value:
        plain = _decoded(value)
        if plain != value and (text(plain) != plain or _query(plain) != plain):
            return f"{name}={MASK}"
    return part


_URLS = frozenset(("referer", "location", "origin", "content-location", "x-original-url", "x-rewrite-url", "x-forwarded-uri"))
_HARMLESS = frozenset(("idempotency-key", "sec-websocket-key", "surrogate-key", "cache-key", "www-authenticate"))
_OPENS = re.compile(rf"\s*({_SCHEMES})\s+\S", re.IGNORECASE)


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
    if strength(lower) or lower.endswith("key"):
        if not value.strip() or value.startswith(MASK):
            return value
        scheme = _OPENS.match(value) if lower.endswith("authorization") else None
        return f"{scheme[1]} {MASK}" if scheme else MASK
    return text(value)


_SET_COOKIES = re.compile(r"[,\n][ \t]{0,8}(?=[^\s;,=]{1,256}=)")
_ATTRIBUTES = frozenset(
    ("domain", "path", "expires", "max-age", "secure", "httponly", "samesite", "priority", "partitioned", "version")
)


def _cookie_pair(part: str) -> str:
    name, equals, value = part.partition("=")
    if not equals:
        return MASK if part else ""
    return f"{name}={MASK}" if value else part


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


def body(value: str, content_type: str = "") -> str:
    """A request's or response's body, whole or cut off: values under secret names and values that look like secrets masked.

    `content_type` is the header's value. JSON stays JSON: a masked number becomes a string."""
    if "urlencoded" in content_type.lower():
        return _settled(value, lambda form: text(_query(form)))
    return text(value)


def object(fields: dict[str, str]) -> dict[str, str]:
    """Structured fields: values under secret names masked, the others masked as text."""
    return {
        name: (value if not value or tells_nothing(value) else MASK) if strength(name) else text(value)
        for name, value in fields.items()
    }
