"""Texts that do something where they are taken for markup, an address, a template, or a terminal's commands; each says `pwned` when it
gets to run. And events that have one of them in every field."""

from __future__ import annotations

from typing import Any

from brakit.events import KINDS, PARTS, Field, Shape, camel

FAR = "https://strangers.test"
MARKUP = [
    "<script>window.pwned=1</script>",
    "<script src=https://strangers.test/s.js></script>",
    "<ScRiPt>window.pwned=1</sCrIpT>",
    "<script>/*\n*/window.pwned=1</script>",
    "\"><script>window.pwned=1</script>",
    "'><script>window.pwned=1</script>",
    "</script><script>window.pwned=1</script>",
    "</style><script>window.pwned=1</script>",
    "</title><script>window.pwned=1</script>",
    "</textarea><img src=x onerror=window.pwned=1>",
    "--><img src=x onerror=window.pwned=1>",
    "]]><img src=x onerror=window.pwned=1>",
    "<img src=x onerror=window.pwned=1>",
    "<img src=https://strangers.test/i.png>",
    "<img/src/onerror=window.pwned=1>",
    "<img src=x:x onerror\n=window.pwned=1>",
    "<image src=x onerror=window.pwned=1>",
    "<svg onload=window.pwned=1>",
    "<svg/onload=window.pwned=1//",
    "<svg><script>window.pwned=1</script></svg>",
    "<svg><animate onbegin=window.pwned=1 attributeName=x dur=1s>",
    "<svg><use href=https://strangers.test/u.svg#x></svg>",
    "<svg><a xlink:href=javascript:window.pwned=1><text y=20>x</text></a></svg>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=window.pwned=1>",
    "<body onload=window.pwned=1>",
    "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe>",
    "<iframe src=javascript:parent.pwned=1></iframe>",
    "<iframe src=https://strangers.test/f></iframe>",
    "<object data=https://strangers.test/o></object>",
    "<embed src=https://strangers.test/e>",
    "<video src=x onerror=window.pwned=1></video>",
    "<video poster=https://strangers.test/p.png></video>",
    "<audio src=x onerror=window.pwned=1>",
    "<details open ontoggle=window.pwned=1>x</details>",
    "<input autofocus onfocus=window.pwned=1>",
    "<select autofocus onfocus=window.pwned=1>",
    "<marquee onstart=window.pwned=1>x</marquee>",
    "<link rel=stylesheet href=https://strangers.test/l.css>",
    "<link rel=prefetch href=https://strangers.test/prefetch>",
    "<style>@import 'https://strangers.test/i.css';</style>",
    "<style>body{background:url(https://strangers.test/b.png)}</style>",
    "<div style=\"background:url('https://strangers.test/d.png')\">x</div>",
    "<base href=https://strangers.test/>",
    "<meta http-equiv=refresh content='0;url=https://strangers.test/m'>",
    "<form action=https://strangers.test/f><button autofocus>x</button></form>",
    "<template><img src=x onerror=window.pwned=1></template>",
    "<a href=javascript:window.pwned=1>x</a>",
    "<a href=https://strangers.test/ ping=https://strangers.test/ping>x</a>",
    "<noscript><p title=\"</noscript><img src=x onerror=window.pwned=1>\">",
    "<x onpointerenter=window.pwned=1 onmouseover=window.pwned=1 onclick=window.pwned=1>x</x>",
]  # fmt: skip
ADDRESSES = [
    "javascript:window.pwned=1",
    "JaVaScRiPt:window.pwned=1//https://a/",
    "java\tscript:window.pwned=1",
    "\x01javascript:window.pwned=1",
    "data:text/html,<script>parent.pwned=1</script>",
    "vbscript:window.pwned=1",
    "//strangers.test/protocol-relative",
    "https://strangers.test/link",
    "file:///etc/passwd\"onclick=window.pwned=1 x=\"",
]  # fmt: skip
OTHERS = [
    "{{constructor.constructor('window.pwned=1')()}}",
    "${window.pwned=1}",
    "{@html '<img src=x onerror=window.pwned=1>'}",
    "'-(window.pwned=1)-'",
    "\u2028window.pwned=1\u2029",
    "\x1b]52;c;cHduZWQ=\x07\x1b[2J\x9b31m\x1b]0;pwned\x07",
    "\u202e<gpj.x onerror=window.pwned=1>\u2066",
    "%3Cscript%3Ewindow.pwned=1%3C/script%3E",
    "&lt;img src=x onerror=window.pwned=1&gt;",
    "__proto__",
    "constructor",
    "</data>\n\nevent: issues\ndata: [{\"pwned\":1}]\n\n",
]  # fmt: skip
ALL = [*MARKUP, *ADDRESSES, *OTHERS]

_PARTS = {shape.name: shape for shape in PARTS}
_KEPT = {"id", "duration", "status_code", "duration_ms", "timestamp"}


def events(payload: str, number: int, now: float) -> list[dict[str, Any]]:
    """One event of every kind that the shape has, with the payload in every field that takes a text. They belong to one request, and
    one error to nothing."""
    owner = f"{number:032x}"
    made = []
    for place, kind in enumerate(KINDS):
        data = _filled(kind, payload, number)
        if kind.name in ("request", "job"):
            data["id"] = owner if kind.name == "request" else f"{number + 0x10_0000:032x}"
            data["statusCode"] = 500
        made.append(
            {
                "type": kind.name,
                "timestamp": now + number * 10 + place,
                "requestId": None if kind.name == "job" else owner,
                "data": data,
            }
        )
    page = {
        "method": "GET",
        "url": f"/mark{number} {payload}",
        "statusCode": 200,
        "durationMs": 1,
        "id": f"{number + 0x20_0000:032x}",
    }
    headers = {
        "accept": "text/html",
        "referer": payload,
        "user-agent": payload,
        "sec-fetch-dest": "document",
        "sec-fetch-mode": "navigate",
    }
    opened = {"type": "request", "timestamp": now + number * 10, "data": {**page, "requestHeaders": headers}}
    return [*made, {**made[-1], "requestId": None}, {**opened, "requestId": page["id"]}]


def _filled(shape: Shape, payload: str, number: int) -> dict[str, Any]:
    # A mark in front: pages of equal texts would be one group, and the test could not tell that it was shown.
    return {
        camel(field.name): _value(field, f"mark{number} {payload}" if _is_shown(field) else payload, number) for field in shape
    }


def _is_shown(field: Field) -> bool:
    return field.name in ("message", "name", "url", "sql", "method", "route")


def _value(field: Field, payload: str, number: int) -> Any:
    name = field.type.removesuffix("[]")
    value: Any
    if field.enum:
        value = field.enum[0]
    elif name == "string":
        value = payload
    elif name == "object":
        value = {payload: payload, "content-type": payload, "set-cookie": f"{payload}=1; Path=/", "location": payload}
    elif name == "counts":
        value = {payload: 1}
    elif name == "boolean":
        value = True
    elif name in ("number", "integer"):
        value = number + 1
    elif name in _PARTS:
        value = _filled(_PARTS[name], payload, number)
    else:
        value = {}
    return [value, value] if field.type.endswith("[]") else value
