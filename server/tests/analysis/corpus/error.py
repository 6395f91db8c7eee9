"""Errors: in requests, outside them, handled, and ends that are no errors."""

from __future__ import annotations

from typing import Any

from brakit_server.records import Callsite, Cause

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

PYTHON = """Traceback (most recent call last):
  File "/srv/app/views.py", line 12, in checkout
    total = price(cart)
  File "/srv/app/cart.py", line 40, in price
    return sum(prices[sku] for sku in cart)
  File "/usr/lib/python3.11/site-packages/lib/x.py", line 3, in get
    raise KeyError(sku)
KeyError: 'x'
"""

NODE = """TypeError: x is undefined
    at get (node:internal/modules:3:4)
    at price (/srv/app/cart.js:40:11)
    at checkout (/srv/app/views.js:12:5)"""


def unhandled(make: Any) -> Labelled:
    words = ("ValueError in charge", "GET /orders fails", "app/pay.py:9", "no such price", "price = prices[sku]")
    return [make.request(status=500), make.error()], [("error", "critical", words)]


def handled(make: Any) -> Labelled:
    return [make.request(), make.error(handled=True)], [("error", "warning", ("reports",))]


def handled_and_then_not(make: Any) -> Labelled:
    return [make.request(status=500), make.error(handled=True), make.error(handled=False)], [("error", "critical")]


def one_place_two_messages(make: Any) -> Labelled:
    entries = []
    for n in range(3):
        entries += [make.request(f"r{n}", status=500, ms=5), make.error(message=f"no price for {n}", owner=f"r{n}")]
    return entries, [("error", "critical")]


def the_line_moved(make: Any) -> Labelled:
    first = [make.request("a", status=500, ms=5), make.error(owner="a")]
    return [*first, make.request("b", status=500, ms=5), make.error(owner="b", place=("app/pay.py", 14, "charge"))], [
        ("error", "critical")
    ]


def two_places(make: Any) -> Labelled:
    other = make.error(owner="b", place=("app/pay.py", 50, "refund"))
    entries = [make.request("a", status=500, ms=5), make.error(owner="a"), make.request("b", status=500, ms=5), other]
    return entries, [("error", "critical", ("charge",)), ("error", "critical", ("refund",))]


def two_classes(make: Any) -> Labelled:
    return [make.request(status=500), make.error(), make.error("KeyError")], [("error", "critical"), ("error", "critical")]


def in_a_thread(make: Any) -> Labelled:
    return [make.error(owner=None, mechanism="thread")], [("error", "critical", ("outside a request (thread)",))]


def at_the_top(make: Any) -> Labelled:
    return [make.error(owner=None, mechanism="main")], [("error", "critical", ("outside a request (main)",))]


def with_a_cause(make: Any) -> Labelled:
    error = make.error(causes=[Cause(name="TimeoutError", message="payments did not answer")])
    return [make.request(status=500), error], [("error", "critical", ("Caused by TimeoutError: payments did not answer",))]


def only_a_python_traceback(make: Any) -> Labelled:
    words = ("KeyError in price", "/srv/app/cart.py:40", "sum(prices[sku] for sku in cart)")
    return [make.request(status=500), make.error("KeyError", place=None, stack=PYTHON)], [("error", "critical", words)]


def only_a_node_stack(make: Any) -> Labelled:
    error = make.error("TypeError", place=None, stack=NODE)
    return [make.request(status=500), error], [("error", "critical", ("TypeError in price", "/srv/app/cart.js:40"))]


def only_a_line(make: Any) -> Labelled:
    error = make.error(place=None, call_site=Callsite(file="app/x.py", line=3, function="f"))
    return [make.request(status=500), error], [("error", "critical", ("app/x.py:3",))]


def nothing_but_a_name(make: Any) -> Labelled:
    return [make.request(status=500), make.error(place=None)], [("error", "critical", ("ValueError",))]


def hostile_text(make: Any) -> Labelled:
    error = make.error(message="\ud800 <script>\x1b[31m\n" + "x" * 100_000, place=("a\udcffb.py", 1, "f"))
    return [make.request(status=500), error], [("error", "critical", ("…",))]


def not_a_cancelled_request(make: Any) -> Labelled:
    return [
        make.request(status=499, cancelled=True),
        make.error("asyncio.exceptions.CancelledError"),
        make.error("ClientDisconnect"),
    ], []


def not_ctrl_c(make: Any) -> Labelled:
    return [make.error("KeyboardInterrupt", owner=None, mechanism="main"), make.error("SystemExit", owner=None)], []


def not_an_answer_of_500_alone(make: Any) -> Labelled:
    return [make.request(status=500), make.log("failed")], []
