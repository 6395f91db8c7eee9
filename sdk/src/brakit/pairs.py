"""Masks the values of `name=value`, `name: value`, `"name": value` and `name => value` in any text: a log line, JSON, source code.

Names are those of `sensitive.py`. Every function takes time linear in the length of the text.
"""

from __future__ import annotations

import re

from brakit.sensitive import MASK, strength, tells_nothing

SCHEMES = "Basic|Bearer|Digest|Token|ApiKey|Api-Key|Key|JWT|DPoP|Negotiate|NTLM|Hawk|OAuth|Signature|SSWS|GNAP|AWS4-HMAC-SHA256"
"""Of `Authorization`: what stands before the credentials."""

_BACK = re.compile(
    r"[ \t]{0,8}\]?([\"']\\{0,3})?([\w.\-]+(?: (?:ipa|ssecca|terces|etavirp|drac|noisses|ytiruces|emit-eno)(?!\w))?)",
    re.ASCII | re.IGNORECASE,
)
"""A name read backwards from its separator; of names in two words the first ones stand there, backwards too."""
_SECOND = frozenset(("key", "keys", "code", "odes", "mber", "id"))
"""Ends of words that name a secret only together with the word before them, as in `api key`."""
_SEPARATOR = re.compile(r"(?:=>|:=|={1,3}|::(?= )|:)[ \t]{0,8}")
_OPEN = re.compile(r"\s{0,64}(?:%20|\+){0,4}[bBuUrRfF]{0,2}(\\{0,3}[\"'])")
_STRING = {'"': re.compile(r'(?:[^"\\\n]|\\.)*'), "'": re.compile(r"(?:[^'\\\n]|\\.)*")}
_BARE = re.compile(r"[^\s&;,\"'<>)\]}|]+")
_BARE_START = re.compile(r"[^\s&;,\"'<>)\]}|]{1,100}")
_LINE = re.compile(r"[^\r\n]*")
_COOKIES = re.compile(r"[^\r\n\"']*")
_LISTS = ("di", "aw", "oa", "ha", "si")
"""How the schemes begin whose credentials are a list of parameters."""
_SCHEME = re.compile(rf"(?:{SCHEMES})(?:\s|%20|\+){{1,4}}(?=\S)", re.IGNORECASE)
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
_ANNOTATED = re.compile(
    r"(?:(?:typing|t|pydantic)\.)?(?:str|bytes|int|None|Any|Final|ClassVar|Optional|Union|Annotated|Literal|Mapped|Secret|SecretStr|SecretBytes"
    r"|list|dict|tuple|set|List|Dict|Tuple|Set)(?:\[[^=\n]{1,80}\])?(?:\s?\|\s?[\w.\[\]]{1,40}){0,4}[ \t]{0,8}=(?!=)[ \t]{0,8}"
)
"""The type between a variable and its value."""
_CALLED = re.compile(
    r"[ \t]{0,8}(?:await )?([A-Za-z_][\w.]{0,80}(?=[(\[])|)[(\[]"
    r"(?=\s{0,64}(?:[\w.]{1,64}(?:\([\w., ]{0,40}\))?\s{0,4}[,=]\s{0,64}){0,8}[bBuUrRfF]{0,2}[\"'])"
)
_STOP = re.compile(r"[\"'()\[\]{}]")
_GOES_ON = re.compile(r"[ \t]{0,8}(?:or|\+|if [\w. ]{1,60} else)\s{1,8}[bBuUrRfF]{0,2}(?=[\"'])")
_GETTERS = frozenset(
    (
        *(
            "environ",
            "getenv",
            "get",
            "pop",
            "form",
            "headers",
            "cookies",
            "json",
            "config",
            "data",
            "session",
            "args",
            "params",
            "env",
        ),
        *(
            "settings",
            "getattr",
            "request",
            "meta",
            "META",
            "POST",
            "GET",
            "secrets",
            "vault",
            "option",
            "getpass",
            "input",
            "prompt",
        ),
    )
)
"""Functions and mappings whose first string is a name, not a value."""
_JOINED = re.compile(r"[\"'][ \t]{0,4}\+?[ \t]{0,4}[bBuUrRfF]{0,2}(?=([\"']))")
_BLOCK = re.compile(r"[|>][+-]?\d?[ \t]{0,8}\r?\n((?:[ \t]+\S[^\n]*(?:\n|\Z)|\r?\n)+)")
_ESCAPED_BLOCK = re.compile(r"[|>][+-]?\d?[ \t]{0,8}(?:\\r)?\\n(?=[ \t])")
_ESCAPED_BLOCK_END = re.compile(r"\\n(?![ \t]|\\n)|[\"\n]|\Z")
_ITEMS = re.compile(r"\r?\n(?:[ \t]{0,40}-[ \t]{1,8}[^\s\"']{1,200}[ \t]{0,8}(?:\r?\n|\Z))+")
_ITEM = re.compile(r"(?<=- )[^\s-][^\s]*")
"""A block and a list of YAML."""
_COLON = re.compile(r"\s*:")
_CONTAINER = re.compile(r"[\[{]\s{0,64}[\[{\"'\d\]}]")


def masked(value: str) -> str:
    """The text without the values that stand beside the names of secrets."""
    out: list[str] = []
    done = at = 0
    equals, colon = value.find("="), value.find(":")
    while equals >= 0 or colon >= 0:
        sign = equals if colon < 0 or 0 <= equals < colon else colon
        before = value[max(at, sign - 80) : sign]
        at = sign + 1
        if value.startswith("::", sign) and not value.startswith(" ", sign + 2):
            # A cast in SQL, a part of a name in C++.
            at = sign + 2
        elif not _harmless(before):
            found = _BACK.match(before[::-1])
            weight = strength(found[2][::-1]) if found else 0
            typed = _ANNOTATED.match(value, _SEPARATOR.match(value, sign).end()) if weight and value[sign] == ":" else None  # type: ignore[union-attr]
            if found and weight and (weight == 2 or found[1] or typed or value[sign] == "="):
                quote = (found[1] or "")[::-1]
                at = typed.end() if typed else _SEPARATOR.match(value, sign).end()  # type: ignore[union-attr]
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
        if value.startswith(opened[1] * 2, start):
            return _long_string(value, start + 2, opened[1] * 3)
        end = _end_of_string(value, start, opened[1])
        while (joined := _JOINED.match(value, end)) and len(opened[1]) == 1 and not quote:
            end = _end_of_string(value, joined.end() + 1, joined[1])
        scheme = _SCHEME.match(value, start, end)
        if scheme:
            start = scheme.end()
        return end, start, "" if tells_nothing(value[start:end]) else MASK
    if weight == 2 and _CONTAINER.match(value, at):
        return _container(value, at, quote)
    called = _CALLED.match(value, at)
    if called:
        return _call(value, called.end() - 1, called[1])
    if weight == 2 and value.startswith(("|", ">", "\n", "\r\n"), at):
        return _block(value, at)
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


def _long_string(value: str, start: int, quote: str) -> tuple[int, int, str]:
    end = value.find(quote, start)
    end = len(value) if end < 0 else end
    return end, start, "" if end == start or tells_nothing(value[start:end]) else as_many_lines(value[start:end])


def as_many_lines(value: str) -> str:
    """The mask in the place of text, with its line ends: source code is shown line by line."""
    return MASK + "\n" * value.count("\n")


def _call(value: str, at: int, callee: str) -> tuple[int, int, str]:
    """A call, a subscript or brackets that the value comes from: the strings in it are masked, but for the name that a getter takes."""
    names = value[at] == "[" or not _GETTERS.isdisjoint(callee.split("."))
    out: list[str] = []
    done = start = at
    depth, limit = 0, at + 300
    while found := _STOP.search(value, at, limit):
        sign, at = found[0], found.end()
        if sign in "([{":
            depth += 1
            continue
        if sign in ")]}":
            depth -= 1
        else:
            end = _STRING[sign].match(value, at).end()  # type: ignore[union-attr]
            if names and depth:
                names = False
            elif end > at and not tells_nothing(value[at:end]):
                out.append(value[done:at] + MASK)
                done = end
            at = end + 1
        if depth <= 0:
            more = _GOES_ON.match(value, at)
            if not more:
                break
            at, limit = more.end(), more.end() + 300
    return (done, start, "".join(out)) if out else (start + 1, start, "")


def _block(value: str, at: int) -> tuple[int, int, str]:
    block = _ESCAPED_BLOCK.match(value, at)
    if block:
        start = block.end()
        end = _ESCAPED_BLOCK_END.search(value, start).start()  # type: ignore[union-attr]
        return end, start, "" if tells_nothing(value[start:end].strip()) else MASK
    block = _BLOCK.match(value, at)
    if block:
        return block.end(), block.start(1), "" if tells_nothing(block[1].strip()) else as_many_lines(block[1])
    items = _ITEMS.match(value, at)
    if not items:
        return at, at, ""
    hidden = _ITEM.sub(lambda found: found[0] if tells_nothing(found[0]) else MASK, items[0])
    return items.end(), at, hidden if hidden != items[0] else ""
