"""Tracebacks in answers, and texts about them."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

TRACE = (
    'Traceback (most recent call last):\n  File "/srv/app/pay.py", line 9, in charge\n    1 / 0\n'
    "ZeroDivisionError: division by zero\n"
)
IN_JSON = (
    '{"error": "Traceback (most recent call last):\\n  File \\"/srv/app/pay.py\\", line 9, in charge\\nZeroDivisionError: x"}'
)


def _answer(make: Any, body: str, status: int = 500, **more: Any) -> list[Any]:
    return [make.raw_request(response_body=body, status=status, route="/pay", **more)]


def plain(make: Any) -> Labelled:
    return _answer(make, TRACE, response_headers={"content-type": "text/plain"}), [
        ("stack-trace-leak", "critical", ("GET /pay", "500"))
    ]


def in_json(make: Any) -> Labelled:
    return _answer(make, IN_JSON), [("stack-trace-leak", "critical")]


def in_html(make: Any) -> Labelled:
    body = "<pre>  File &quot;/srv/app/pay.py&quot;, line 9, in charge\n    1 / 0\nZeroDivisionError</pre>"
    return _answer(make, body, response_headers={"content-type": "text/html"}), [("stack-trace-leak", "critical")]


def of_a_four_hundred(make: Any) -> Labelled:
    return _answer(make, IN_JSON, 400), [("stack-trace-leak", "critical")]


def of_javascript(make: Any) -> Labelled:
    return _answer(make, '{"stack": "TypeError: x\\n    at charge (/srv/app/pay.js:9:13)\\n    at run (node:internal:1:1)"}'), [
        ("stack-trace-leak", "critical")
    ]


def cut(make: Any) -> Labelled:
    return _answer(make, IN_JSON[:95]), [("stack-trace-leak", "critical")]


def answered_with_two_hundred(make: Any) -> Labelled:
    error = make.error("ZeroDivisionError", "division by zero", handled=True)
    found = [("stack-trace-leak", "critical", ("app/pay.py:9",)), ("error", "warning")]
    return [*_answer(make, IN_JSON, 200), error], found


def debug_of_starlette(make: Any) -> Labelled:
    made = make.raw_request(response_body=TRACE, status=500, route="/pay", framework="fastapi")
    return [made], [("stack-trace-leak", "critical", ("`debug` off",))]


def documentation_of_tracebacks(make: Any) -> Labelled:
    body = "<p>It says Traceback (most recent call last): and then each frame.</p>"
    return _answer(make, body, 200, response_headers={"content-type": "text/html"}), []


def an_issue_tracker(make: Any) -> Labelled:
    return _answer(make, IN_JSON, 200), []


def only_the_heading(make: Any) -> Labelled:
    return _answer(make, '{"error": "Traceback (most recent call last)"}'), []


def a_sentence(make: Any) -> Labelled:
    return _answer(make, '{"error": "look at File \\"report\\" at line 3"}'), []
