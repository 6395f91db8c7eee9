"""The OpenAPI description of the API: from the routes, what their handlers read from a query, and the types of what they answer.

The handlers' sources are read as far as they are written here: a parameter is a name that is asked for in `request.query_params`, by
the handler or by a function that it hands the request to; an answer is the class that is given to `json_of`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
from starlette.responses import Response

ROOT = Path(__file__).resolve().parent.parent
Read = Callable[..., Any]

REFUSED = {
    "description": "Refused; `error` says why.",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
}
REFUSAL = {
    "type": "object",
    "description": "What is refused, and why.",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
TOKEN = {"type": "http", "scheme": "bearer", "description": "Where the server can be reached from elsewhere."}


def description(note: str) -> str:
    """The whole, as JSON."""
    from brakit_server import __version__, api
    from brakit_server.security import API, INGEST

    payload = json.loads((ROOT / "schema/brakit.schema.json").read_text())
    paths: dict[str, Any] = {}
    answered: set[type] = set()
    for module in sorted(pkgutil.iter_modules(api.__path__), key=lambda module: module.name):
        resource = importlib.import_module(f"{api.__name__}.{module.name}")
        for route in resource.ROUTES:
            path = API + route.path
            handler = _Handler(route.endpoint)
            answered |= handler.answers
            for method in sorted(set(route.methods or ()) - {"HEAD"}):
                body = {"$ref": "#/components/schemas/Payload"} if path == INGEST else handler.body
                operation = handler.operation(path, method, body)
                paths.setdefault(path, {})[method.lower()] = {"operationId": f"{method.lower()} {path}", **operation}
    _, components = msgspec.json.schema_components(sorted(answered, key=lambda cls: cls.__name__), ref_template=_REF)
    parts = json.loads(json.dumps(payload.pop("$defs")).replace("#/$defs/", "#/components/schemas/wire."))
    payload = json.loads(json.dumps(payload).replace("#/$defs/", "#/components/schemas/wire."))
    for name in ("$schema", "$comment"):
        payload.pop(name, None)
    whole = {
        "openapi": "3.1.0",
        "info": {"title": "brakit", "version": __version__, "description": note},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {
                **components,
                "Refusal": REFUSAL,
                "Payload": payload,
                **{f"wire.{name}": part for name, part in parts.items()},
            },
            "securitySchemes": {"token": TOKEN},
        },
        "security": [{}, {"token": []}],
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


_REF = "#/components/schemas/{name}"


class _Handler:
    """What the source of one handler says."""

    def __init__(self, function: Read) -> None:
        self.text = " ".join((inspect.getdoc(function) or "").split())
        self.answers: set[type] = set()
        self.parameters: list[str] = []
        self.body: dict[str, Any] | None = None
        self.statuses: set[int] = set()
        self.other: set[str] = set()
        self._seen: set[Read] = set()
        self._read(function)

    def operation(self, path: str, method: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """The OpenAPI operation."""
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in re.findall(r"{(\w+)}", path)
        ]
        parameters += [{"name": name, "in": "query", "schema": {"type": "string"}} for name in self.parameters]
        responses: dict[str, Any] = {str(status): {"description": "Done; nothing to say."} for status in self.statuses & {204}}
        responses |= {str(status): {"description": "Elsewhere."} for status in self.statuses & {303}}
        if self.answers:
            schemas = [
                {"$ref": f"#/components/schemas/{cls.__name__}"} for cls in sorted(self.answers, key=lambda cls: cls.__name__)
            ]
            content = {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}
            responses["200"] = {"description": "As asked.", "content": content}
        elif self.other:
            responses["200"] = {"description": "As asked.", "content": {kind: {"schema": {}} for kind in sorted(self.other)}}
        elif "204" not in responses:
            responses["200"] = {"description": "As asked.", "content": {"application/json": {"schema": {"type": "object"}}}}
        found = {"description": self.text, "parameters": parameters, "responses": {**responses, "4XX": REFUSED, "503": REFUSED}}
        if method in ("POST", "PUT", "PATCH") and body is not None:
            found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
        return found

    def _read(self, function: Read) -> None:
        """Take in a function, and those that it hands the request to."""
        if function in self._seen:
            return
        self._seen.add(function)
        module = inspect.getmodule(function)
        assert module is not None
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        queries = {"request.query_params"}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and ast.unparse(node.value) == "request.query_params":
                queries |= {ast.unparse(target) for target in node.targets}
        for call in _calls(tree):
            self._call(call, queries, module)

    def _call(self, call: ast.Call, queries: set[str], module: ModuleType) -> None:
        name = ast.unparse(call.func)
        literals = [
            argument.value for argument in call.args if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
        ]
        if name.removesuffix(".get") in queries and name.endswith(".get"):
            self._parameters(literals[:1])
        elif name == "json_of":
            self._answer(call, module)
        elif name == "Response" or name.endswith("Response"):
            for keyword in call.keywords:
                value = getattr(keyword.value, "value", None)
                if keyword.arg == "status_code" and isinstance(value, int):
                    self.statuses.add(value)
                if keyword.arg == "media_type":
                    self.other.add(value.partition(";")[0] if isinstance(value, str) else "*/*")
            self.statuses |= {303 for argument in call.args if ast.unparse(argument) == "303"}
        elif name == "msgspec.json.decode":
            self.body = {"type": "object"}
        else:
            found = _named(name, module)
            if isinstance(found, type) and issubclass(found, Response):
                self.other.add(str(found.media_type))
            elif inspect.isfunction(found) and found.__module__.startswith("brakit_server.api"):
                handed = [ast.unparse(argument) for argument in call.args]
                if handed[:1] == ["request"]:
                    self._parameters(literals[:1])
                    self._read(found)

    def _answer(self, call: ast.Call, module: ModuleType) -> None:
        given = call.args[0]
        if len(call.args) > 1 or call.keywords:
            return
        given = given.value if isinstance(given, ast.Await) else given
        if isinstance(given, ast.Call):
            found = _named(ast.unparse(given.func), module)
            if inspect.isfunction(found):
                found = inspect.get_annotations(found, eval_str=True)["return"]
            if isinstance(found, type) and issubclass(found, msgspec.Struct):
                self.answers.add(found)

    def _parameters(self, names: list[str]) -> None:
        self.parameters += [name for name in names if name and name not in self.parameters]


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _named(name: str, module: ModuleType) -> Any:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
