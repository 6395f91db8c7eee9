"""Rights that come with the body."""

from __future__ import annotations

from typing import Any

Labelled = tuple[list[Any], list[tuple[Any, ...]]]


def _sent(make: Any, sent: str, answered: str, route: str = "/signup", **more: Any) -> list[Any]:
    fields = {"method": "POST", "status": 201, "request_body": sent, "response_body": answered, **more}
    query = make.query("INSERT INTO users (name) VALUES (?)", table="users")
    return [make.raw_request(route=route, **fields), query]


def is_admin(make: Any) -> Labelled:
    made = _sent(make, '{"name": "ada", "is_admin": true}', '{"id": 1, "is_admin": true}')
    return made, [("mass-assignment", "critical", ("is_admin", "users", "POST /signup"))]


def in_camel_case(make: Any) -> Labelled:
    return _sent(make, '{"isAdmin": true}', '{"id": 1, "isAdmin": true}'), [("mass-assignment", "critical", ("isAdmin",))]


def a_role(make: Any) -> Labelled:
    return _sent(make, '{"role": "admin"}', '{"user": {"role": "admin"}}'), [("mass-assignment", "critical", ("role",))]


def a_list_of_roles(make: Any) -> Labelled:
    return _sent(make, '{"roles": ["admin"]}', '{"id": 1, "roles": ["admin"]}'), [("mass-assignment", "critical", ("roles",))]


def nested(make: Any) -> Labelled:
    made = _sent(make, '{"user": {"is_superuser": true}}', '{"user": {"is_superuser": true}}')
    return made, [("mass-assignment", "critical", ("is_superuser",))]


def of_ones_own_profile(make: Any) -> Labelled:
    made = _sent(
        make, '{"is_staff": true}', '{"is_staff": true}', "/me", method="PATCH", status=200, headers={"cookie": "sessionid=9f8e"}
    )
    return made, [("mass-assignment", "critical", ("is_staff",))]


def in_a_body_that_was_cut(make: Any) -> Labelled:
    made = _sent(make, '{"name": "ada", "is_admin": true}', '{"id": 1, "is_admin": true, "about": "Ada was')
    return made, [("mass-assignment", "critical")]


def by_an_administrator(make: Any) -> Labelled:
    made = _sent(make, '{"role": "admin"}', '{"role": "admin"}', "/users", headers={"authorization": "Bearer 9f8e7d6c5b4a"})
    return made, []


def under_admin(make: Any) -> Labelled:
    return _sent(make, '{"role": "admin"}', '{"role": "admin"}', "/admin/users"), []


def after_a_permission_check(make: Any) -> Labelled:
    return [*_sent(make, '{"role": "admin"}', '{"role": "admin"}'), make.auth(checked="users:write")], []


def not_confirmed(make: Any) -> Labelled:
    return _sent(make, '{"is_admin": true}', '{"id": 1, "is_admin": false}'), []


def an_ordinary_role(make: Any) -> Labelled:
    return _sent(make, '{"role": "customer", "is_admin": false}', '{"role": "customer", "is_admin": false}'), []


def an_echo_without_a_write(make: Any) -> Labelled:
    made = _sent(make, '{"role": "admin"}', '{"role": "admin"}')
    return made[:1], []


def an_answer_with_nothing_in_a_field(make: Any) -> Labelled:
    return _sent(make, '{"product": 3, "quantity": 1}', '{"id": 1, "image": null}'), []
