"""The description is of the API that is there."""

from __future__ import annotations

from typing import Any

import jsonschema
from starlette.routing import Route

from brakit_server import api


def test_every_route_is_described(server: Any) -> None:
    described = server.get("openapi.json")
    assert described["openapi"].startswith("3.1")
    routes = {
        (f"/__brakit/api{route.path}", method.lower())
        for route in api.routes()
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {(path, method) for path, methods in described["paths"].items() for method in methods} == routes


def test_parameters_and_answers_are_those_of_the_handlers(server: Any) -> None:
    described = server.get("openapi.json")
    logs = described["paths"]["/__brakit/api/logs"]["get"]
    assert {"search", "level", "filter", "limit"} <= {parameter["name"] for parameter in logs["parameters"]}
    answer = {**logs["responses"]["200"]["content"]["application/json"]["schema"], "components": described["components"]}
    jsonschema.Draft202012Validator(answer).validate(server.get("logs"))
    assert not jsonschema.Draft202012Validator(answer).is_valid({"total": "many", "entries": []})
