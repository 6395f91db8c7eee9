"""Masks what stands beside the name of a secret in other ways than in a pair: flags, elements of XML, fields of forms, parameters
that are percent-encoded, sentences.

Names are those of `sensitive.py`. Every function takes time linear in the length of the text.
"""

from __future__ import annotations

import re

from brakit.sensitive import MASK, strength, tells_nothing

_FLAG = re.compile(r"(?<!\S)--?([A-Za-z][\w-]{1,63})[ ]+(?!-)[\"']?([^\s\"']+)")
_USER_FLAG = re.compile(r"(?<!\S)(?:-u|--user|--proxy-user)[ =][\"']?([^\s:\"']{1,128}):([^\s\"']+)")
_ARGUMENTS = re.compile(r"([\"']--?([A-Za-z][\w-]{1,63})[\"'],\s?[\"'])(?!--?\w)([^\"'\n]+)")
_ELEMENT = re.compile(r"<([\w:.\-]{1,80})(?:\s[^<>]{0,200})?>((?:<!\[CDATA\[)?[^<]+)(?=</|\Z)")
_TUPLE = re.compile(r"(\(b?[\"']([\w-]{2,64})[\"'],\s?b?([\"']))([^\"'\n]+)")
_ENCODED = re.compile(r"(?<![\w.\-])((?:(?<=%)[0-9A-Fa-f]{2})?)(\w[\w.\-]*)(?:%(?:25)?3[dD]|%22%3[aA](?:%20|\+)?%22)", re.ASCII)
_ENCODED_END = re.compile(r"[\s&\"'<>]|%(?=26|25|22)|\Z")
_ENCODED_USER_INFO = re.compile(r"(?<=%3[aA]%2[fF]%2[fF])(?!\*\*\*\*)(?:(?!%2[fF])[^\s&\"'<>/]){1,256}?(?=%40)")
_PERCENT_NAME = re.compile(r"([?&#;])((?:[\w.\-\[\]]|%[0-9A-Fa-f]{2})+)=([^\s&#\"'<>]+)", re.ASCII)
_NAMING = "name|key|field|path|param|property"
_LABELLED = re.compile(
    rf"((?:\"loc\"\s?:\s?\[[^\]\n]{{0,120}}?\"([^\"\n]{{1,64}})\"\s?\]|\bname=[\"']([^\"'\n]{{1,64}})[\"']|\btype=[\"'](password)[\"']"
    rf"|\"(?:{_NAMING})\"\s?:\s?\"([^\"\n]{{1,64}})\")"
    r"[^{}<>\n]{0,120}?(?:\"input\"|\bvalue|\bcontent|\"value\")\s?[=:]\s?([\"']))((?:[^\"'\\\n]|\\.)+)"
)
_LABELLED_BEHIND = re.compile(
    r"((?:\bvalue|\bcontent|\"value\")\s?[=:]\s?[\"'])((?:[^\"'\\\n]|\\.)+)"
    rf"([\"'][^{{}}<>\n]{{0,120}}?(?:\bname=[\"']|\btype=[\"'](?=password)|\"(?:{_NAMING})\"\s?:\s?\")([^\"'\n]{{1,64}}))"
)
_PART = re.compile(r"((?:^|[\s;])name=\"?([^\"\r\n;]{1,64})\"?[^\r\n]*\r?\n(?:[^\r\n]{1,200}\r?\n){0,4}\r?\n)([^\r\n]+)")
_FORM_PART = re.compile(r"(?:^|[\s;])name=\"?([^\"\r\n;]{1,64})\"?[^\r\n]*\r?\n(?:[^\r\n]{1,200}\r?\n){0,4}\r?\n(?!--)")
_FORM_PART_END = re.compile(r"\r?\n--|\Z")
"""Of a multipart body, whose values may have several lines."""
_ESCAPED_KEY = re.compile(r"(\"([^\"\s]{0,64}\\u00[^\"\s]{0,128})\"\s{0,8}:\s{0,8}\")((?:[^\"\\\n]|\\.)+)")
_SENTENCE = re.compile(
    r"(?:[Pp]ass(?:word|wd|phrase|code)|PASSWORD|[Tt]oken|TOKEN|[Ss]ecret|SECRET"
    r"|(?:[Aa]pi|API|[Aa]ccess)[ _-]?(?:[Kk]ey|KEY))[ \t]{1,4}"
    r"(?:((?:is|was|set to|changed to|->|=>|→)[ \t]{1,4})[\"'`]?([^\s\"'`,;]{4,})|[\"'`]?([A-Za-z0-9][\w.+/=~-]{11,}))"
)
_OTHER_TOKENS = ("page", "next", "cancel")
_SAYING = ("oken ", "KEN ", "ssword ", "WORD ", "sswd ", "ecret ", "CRET ", "ey ", "EY ", "phrase ", "scode ")
_SETTER = re.compile(
    r"(\b(?:set|check|verify|change|update|with)_(?:password|passwd|token|secret|api_key)\(\s{0,8}[bBrRuUfF]{0,2}[\"'])([^\"'\n]+)"
)
_LOGIN = re.compile(r"(\blogin[ \t]+\S{1,128}[ \t]+password[ \t]+)(\S+)")
_KEY_NUMBERS = re.compile(r"(\"(?:d|p|q|dp|dq|qi|k)\"\s{0,8}:\s{0,8}\")([\w-]{8,})")
"""Of a JSON Web Key."""
_PATH_TOKEN = re.compile(
    r"(/(?:[\w-]{0,30}(?i:password|passwd|token|secret|api-?key)s?[\w-]{0,20}|reset|verify|verification|confirm|confirmation|activate"
    r"|activation|invites?|invitations?|magic(?:-?link)?|unsubscribe|recover|recovery|sso)/(?:[A-Za-z0-9_-]{1,12}/)?)"
    r"([A-Za-z0-9_~=+-]{16,})(?![\w.])"
)
_LONG_SEGMENT = re.compile(r"/[A-Za-z0-9_~=+-]{16}")
_HTML_PAIR = re.compile(
    r"((?<![\w-])([\w.\-]{2,64})(?:&quot;|&#x27;|&#39;|&#34;)?\s{0,4}(?:=&gt;|[:=])\s{0,4}(?:&quot;|&#x27;|&#39;|&#34;))"
    r"((?:(?!&quot;|&#x27;|&#39;|&#34;)[^\n<]){1,4000})"
)
_HTML_ELEMENT = re.compile(r"(&lt;([\w:.\-]{1,80})(?:\s[^<>&]{0,200})?&gt;)((?:(?!&lt;)[^\n<]){1,4000})")
"""The same in a page, as the error pages of frameworks show values."""
_LOGIN_CODE = re.compile(r"([?&]code=)([^\s&#\"'<>]{12,})")
"""Of OAuth, where a `state` stands beside it."""


def masked(value: str) -> str:
    """The text without what it says beside the names of secrets."""
    if "%" in value:
        value = _encoded_pairs(value)
        value = _PERCENT_NAME.sub(_percent_pair, value)
        if "%40" in value:
            value = _ENCODED_USER_INFO.sub(MASK, value)
    if "\\u00" in value:
        value = _ESCAPED_KEY.sub(_after_name, value)
    if "value" in value or '"input"' in value or "content=" in value:
        value = _LABELLED.sub(_after_name, value)
        value = _LABELLED_BEHIND.sub(_before_name, value)
    if "name=" in value and "\n" in value:
        value = _form_parts(value) if "form-data" in value else _PART.sub(_after_name, value)
    if "&quot;" in value or "&#" in value or "&lt;" in value:
        value = _HTML_ELEMENT.sub(_after_name, _HTML_PAIR.sub(_after_name, value))
    if '"kty"' in value:
        value = _KEY_NUMBERS.sub(rf"\1{MASK}", value)
    return value


def said(value: str) -> str:
    """The text without what it says in flags, elements, tuples, sentences and paths: neither needs a separator."""
    if "-" in value and (" -" in value or value[0] == "-" or "'-" in value or '"-' in value):
        value = _FLAG.sub(_second, value)
        value = _USER_FLAG.sub(_second_group, value)
        value = _ARGUMENTS.sub(_after_name, value)
    if "(" in value and ("('" in value or "(b'" in value or '("' in value):
        value = _TUPLE.sub(_tuple, value)
        value = _SETTER.sub(rf"\1{MASK}", value)
    if any(map(value.__contains__, _SAYING)):
        value = _SENTENCE.sub(_sentence, value)
        if "login" in value:
            value = _LOGIN.sub(rf"\1{MASK}", value)
    if "/" in value:
        if "</" in value:
            value = _ELEMENT.sub(_second, value)
        if _LONG_SEGMENT.search(value):
            value = _PATH_TOKEN.sub(_path_token, value)
        if "code=" in value and "state=" in value:
            value = _LOGIN_CODE.sub(rf"\1{MASK}", value)
    return value


def _second(found: re.Match[str]) -> str:
    """`--name value`, `<name>value`: the value is the last group, the name the first."""
    name, value = found[1], found[2]
    if not strength(name) or tells_nothing(value.strip()):
        return found[0]
    return found[0][: -len(value)] + MASK


def _second_group(found: re.Match[str]) -> str:
    return found[0][: -len(found[2])] + MASK


def _after_name(found: re.Match[str]) -> str:
    """The whole lead is the first group, the value the last, and the name is the one other group that matched."""
    name = next(filter(None, found.groups()[1:-1]), "")
    value = found[found.lastindex or 0]
    if not strength(decoded(name)) or tells_nothing(value):
        return found[0]
    return found[1] + MASK + "\n" * value.count("\n")


def _form_parts(value: str) -> str:
    out: list[str] = []
    done = at = 0
    while found := _FORM_PART.search(value, at):
        at = start = found.end()
        if strength(decoded(found[1])):
            at = _FORM_PART_END.search(value, start).start()  # type: ignore[union-attr]
            if at > start and not tells_nothing(value[start:at]):
                out.append(value[done:start] + MASK + "\n" * value.count("\n", start, at))
                done = at
    return "".join(out) + value[done:] if out else value


def _before_name(found: re.Match[str]) -> str:
    lead, value, behind, name = found.groups()
    return found[0] if not strength(decoded(name)) or tells_nothing(value) else lead + MASK + behind


def _tuple(found: re.Match[str]) -> str:
    return found[1] + MASK if strength(found[2]) and not tells_nothing(found[4]) else found[0]


def _encoded_pairs(value: str) -> str:
    out: list[str] = []
    done = at = 0
    while found := _ENCODED.search(value, at):
        at = start = found.end()
        if strength(found[2]):
            at = _ENCODED_END.search(value, start).start()  # type: ignore[union-attr]
            if at > start and not tells_nothing(value[start:at]):
                out.append(value[done:start] + MASK)
                done = at
    return "".join(out) + value[done:] if out else value


def _percent_pair(found: re.Match[str]) -> str:
    lead, name, value = found.groups()
    return f"{lead}{name}={MASK}" if strength(decoded(name)) and not tells_nothing(value) else found[0]


def _sentence(found: re.Match[str]) -> str:
    """`issued token 3f9a8c…`, `password is …`: what has letters and digits in it, as no word has."""
    value = found[2] or found[3]
    if found.string.endswith(_OTHER_TOKENS, 0, max(0, found.start() - 1)):
        return found[0]
    if tells_nothing(value) or not _is_mixed(value):
        return found[0]
    return found[0][: -len(value)] + MASK


def _path_token(found: re.Match[str]) -> str:
    return found[1] + MASK if _is_mixed(found[2]) else found[0]


def _is_mixed(value: str) -> bool:
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


_ESCAPE = re.compile(r"(?:%|\\u00)([0-9A-Fa-f]{2})")


def decoded(value: str) -> str:
    """Percent and JSON escapes resolved byte by byte: enough to read a name, not to show it."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), value)
