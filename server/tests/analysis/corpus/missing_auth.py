"""Routes that write unchecked among routes that check."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]

CHECKED = ("/orders", "/items", "/users/{id}", "/prices")


def _wrote(make: Any, route: str, *, checks: bool, number: int = 2, table: str = "items", **more: Any) -> list[Any]:
    made: list[Any] = []
    for n in range(number):
        make.now += 1000
        id = f"{route}{n}"
        sql = f"UPDATE {table} SET name = ? WHERE id = ?"
        made += [make.request(id, route=route, **{"method": "POST", **more}), make.query(sql, str(n), owner=id, table=table)]
        made += [make.auth(owner=id)] if checks else []
    return made


def _others(make: Any, number: int = 4) -> list[Any]:
    return [entry for route in CHECKED[:number] for entry in _wrote(make, route, checks=True)]


def forgotten(make: Any) -> Labelled:
    found = [("missing-auth", "warning", ("POST /discounts", "no auth check was observed", "discounts"))]
    return [*_others(make), *_wrote(make, "/discounts", checks=False, table="discounts")], found


def a_delete(make: Any) -> Labelled:
    return [*_others(make), *_wrote(make, "/discounts/{id}", checks=False, method="DELETE")], [("missing-auth", "warning")]


def a_patch(make: Any) -> Labelled:
    return [*_others(make), *_wrote(make, "/discounts/{id}", checks=False, method="PATCH")], [("missing-auth", "warning")]


def with_credentials_it_is_only_possible(make: Any) -> Labelled:
    made = _wrote(make, "/discounts", checks=False, headers={"authorization": "Bearer ****"})
    return [*_others(make), *made], [("missing-auth", "info")]


def with_a_session(make: Any) -> Labelled:
    made = _wrote(make, "/discounts", checks=False, headers={"cookie": "sessionid=****"})
    return [*_others(make), *made], [("missing-auth", "info")]


def two_of_six(make: Any) -> Labelled:
    made = [*_wrote(make, "/discounts", checks=False), *_wrote(make, "/prizes", checks=False)]
    return [*_others(make), *made], [("missing-auth", "info"), ("missing-auth", "info")]


def behind_a_log(make: Any) -> Labelled:
    made = _wrote(make, "/discounts", checks=False)
    for n in range(2):
        made.append(make.query("INSERT INTO audit_log (a) VALUES (?)", str(n), owner=f"/discounts{n}", table="audit_log"))
    return [*_others(make), *made], [("missing-auth", "warning", ("items",))]


def nobody_checks(make: Any) -> Labelled:
    return [entry for route in CHECKED for entry in _wrote(make, route, checks=False)], []


def only_two_check(make: Any) -> Labelled:
    return [*_others(make, 2), *_wrote(make, "/discounts", checks=False)], []


def log_in(make: Any) -> Labelled:
    return [*_others(make), *_wrote(make, "/login", checks=False), *_wrote(make, "/webhooks/stripe", checks=False)], []


def tables_of_sessions_and_logs(make: Any) -> Labelled:
    made = [
        *_wrote(make, "/preview", checks=False, table="django_session"),
        *_wrote(make, "/viewed", checks=False, table="audit_log"),
    ]
    return [*_others(make), *made], []


def that_only_read(make: Any) -> Labelled:
    made: list[Any] = []
    for n in range(3):
        make.now += 1000
        made += [make.request(f"n{n}", route="/discounts", method="POST"), make.query(owner=f"n{n}")]
    return [*_others(make), *made], []


def once(make: Any) -> Labelled:
    return [*_others(make), *_wrote(make, "/discounts", checks=False, number=1)], []


def refused(make: Any) -> Labelled:
    return [*_others(make), *_wrote(make, "/discounts", checks=False, status=401)], []
