"""No text, however it is made, takes more time than its length says: twice the text is about twice the time."""

from __future__ import annotations

import gc
import os
import re
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from brakit import redact
from brakit.sensitive import PATTERNS, name_secrets
from brakit.sql import summarize

SIZES = (65_536, 131_072, 262_144)
FLOOR_S = 0.002
"""Times below it are compared as if they were it."""
MOST = 3.3
"""Twice the text may take this many times as long; four times would be quadratic."""

UNITS = [
    *(
        "a",
        "a ",
        "1",
        "A",
        "-",
        "_",
        ".",
        "/",
        "=",
        ":",
        "%",
        "&",
        "(",
        "'",
        '"',
        "\\",
        "\n",
        " ",
        "\t",
        "<",
        "$",
        "\x1b[1m",
        "{",
        "[",
    ),
    *(
        "4242 ",
        "4111111111111111 ",
        "://",
        "://a:",
        "://a:b/",
        "a@",
        "eyJ",
        "eyJ.",
        "eyJhbGciOi.",
        "/bot1",
        "1//0",
        "xoxb-",
        "SG.",
        "-us1",
    ),
    *(
        "password=",
        "password=a ",
        "token:",
        "token=>",
        'token=\\"',
        "token=get(",
        "token=self.",
        "token=[",
        'token={"',
        "token=(",
        "token=f(",
    ),
    *(
        "token=get('",
        "token=f(a,",
        "password: |\n  ",
        "password: |\\n  ",
        "token:\n - a\n",
        'token="""',
        "token='' ",
        'token="a" "',
        "token::",
    ),
    *(
        "token: str = ",
        "password: Optional[",
        "token: str | None",
        "&token=a",
        "pa%73s=a&",
        "%3D",
        "%253D",
        "?q=%41",
        "?a=%2525",
        "?a=+",
    ),
    *(
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\n",
        "Private-Lines: 1\na\n",
        "Bearer ",
        "bearer a=",
        "sk-",
        "ghp_",
        "$2b$",
        "pbkdf2",
    ),
    *(
        "<a>",
        "</",
        "<token>",
        "<token><![CDATA[",
        "&lt;a&gt;",
        "token&quot;:&quot;",
        "--a ",
        "--token a",
        "-u a:",
        '"--token", "',
    ),
    *(
        "('token','",
        "(b'",
        'name="token"\nname="a" value=',
        'name="a" ',
        '"value":"',
        '"loc":["',
        '"\\u00',
        "name=x\n",
        "form-data name=token\n\n",
    ),
    *(
        "token is ",
        "token abc123",
        "token -> ",
        "login a password ",
        "set_token('",
        "/reset/",
        "/reset/aaaaaaaaaaaaaaa1",
        "?code=&state=",
        '"kty" "d":"',
    ),
    *(
        "[SQL: ",
        "[SQL: '",
        "[parameters: (",
        "[raw sql] (",
        "(0.1) a; args=(",
        "Failing row contains (",
        "Key (token)=(",
        "Key (",
        "LINE 1: '",
    ),
    *(
        "LINE 1: ...'\n",
        "right syntax to use near '",
        "Duplicate entry '",
        "invalid input syntax for a: '",
        "a\n  b [type=x, input_value=",
    ),
    *(
        "Incorrect a value: '",
        "beginning with: ",
        "Authorization: Digest ",
        "Cookie: a=",
        "a=b; ",
        "a=b, ",
        ";,=",
        "\ud800",
        "token [",
        "access ",
    ),
]
FUNCTIONS: dict[str, Callable[[str], object]] = {
    "text": redact.text,
    "url": redact.url,
    "Set-Cookie": lambda value: redact.header("set-cookie", value),
    "cookies": lambda value: redact.cookies([value]),
    "summarize": summarize,
}
LOOKS = {look.name: re.compile(look.pattern, re.ASCII) for look in PATTERNS}


def _took(function: Callable[[str], object], unit: str, size: int, times: int = 1) -> float:
    """CPU seconds: the median of several."""
    taken = []
    for number in range(times):
        # Not the same text twice: what is cached would take no time.
        value = str(number) + (unit * (size // len(unit) + 1))[:size]
        start = time.thread_time()
        function(value)
        taken.append(time.thread_time() - start)
    return sorted(taken)[len(taken) // 2]


def _grows(function: Callable[[str], object], unit: str) -> tuple[float, float]:
    """By how much a doubling multiplies the time, at most; and the milliseconds of 64 KiB."""
    for times in (1, 5, 9):
        taken = [_took(function, unit, size, times) for size in SIZES]
        ratio = max(after / max(before, FLOOR_S) for before, after in pairwise(taken))
        if ratio <= MOST:
            break
    return ratio, taken[0] * 1000


def _check(named: dict[str, Callable[[str], object]]) -> None:
    # Each takes a while; between them the functions see them all.
    start = 0 if os.environ.get("BRAKIT_LONG") else sum(map(len, named)) % 3
    units = UNITS if os.environ.get("BRAKIT_LONG") else UNITS[start::3]
    gc.disable()
    try:
        found = {(name, unit): _grows(function, unit) for name, function in named.items() for unit in units}
    finally:
        gc.enable()
    for (name, unit), (ratio, ms) in sorted(found.items(), key=lambda item: -item[1][1])[:8]:
        print(f"{name:12} {unit!r:32} {ms:7.1f} ms for 64 KiB, at most x{ratio:.1f} a doubling")
    wrong = {place: f"x{ratio:.1f}" for place, (ratio, _) in found.items() if ratio > MOST}
    assert not wrong


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", [*FUNCTIONS])
def test_a_function_takes_time_by_the_length(name: str) -> None:
    _check({name: FUNCTIONS[name]})


def test_a_look_takes_time_by_the_length() -> None:
    _check({name: lambda value, look=look: look.sub("", value) for name, look in LOOKS.items()})  # type: ignore[misc]


def test_secrets_of_ones_own_take_time_by_the_length() -> None:
    name_secrets(["tenant_ref", "a*b", "aaa*"])
    try:
        _check({"own": redact.text})
    finally:
        name_secrets(())
