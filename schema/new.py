"""`make new KIND=rule NAME=slow-thing`: a new file of a kind, and its test, both ready to be filled."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVER = Path("server/src/brakit_server")

FILES = {
    "instrumentation": (
        "sdk/src/brakit/instrumentations/{snake}.py",
        '"""{name}: what is seen of it, and through which of its functions."""\n\nfrom __future__ import annotations\n\n'
        "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from collections.abc import Generator\n    from typing import Any\n\n"
        "    from brakit.guard import Call\n    from brakit.patch import Patches\n\n"
        'SUPPORTS = ">=1.0"\n\n\ndef instrument(patch: Patches) -> None:\n    patch.probe("{snake}:Client.call", call_probe)\n\n\n'
        "def call_probe(call: Call) -> Generator[None, Any, None]:\n    yield\n",
        "sdk/tests/instrumentations/test_{snake}.py",
        '"""{name}, with the real library."""\n\nfrom __future__ import annotations\n\nimport {snake}\n\n\n'
        "def test_one_call_is_one_event(client, events):\n    {snake}.Client().call()\n    assert len(events()) == 1\n",
    ),
    "rule": (
        "server/src/brakit_server/analysis/rules/{snake}.py",
        '"""{name}."""\n\nfrom __future__ import annotations\n\nfrom collections.abc import Iterable\n\n'
        "from brakit_server.analysis.finding import Finding\nfrom brakit_server.analysis.rules import Rule\n"
        "from brakit_server.analysis.timeline import Timeline\n\n\nclass {camel}(Rule):\n"
        '    """*What it finds.* …\n\n    *Why it matters.* …\n\n    *Fix.* …\n\n    *What it leaves alone.* …\n    """\n\n'
        '    title = "{title}"\n    category = "performance"\n\n'
        "    def check(self, timeline: Timeline) -> Iterable[Finding]:\n        return ()\n",
        "server/tests/analysis/rules/test_{snake}.py",
        '"""{name}: finds what it should, and leaves alone what it should."""\n\nfrom __future__ import annotations\n',
    ),
    "resource": (
        f"{SERVER}/api/{{snake}}.py",
        '"""`GET /api/{name}`."""\n\nfrom __future__ import annotations\n\nfrom starlette.requests import Request\n'
        "from starlette.responses import Response\nfrom starlette.routing import Route\n\n\n"
        "async def {snake}(request: Request) -> Response:\n    return Response(status_code=204)\n\n\n"
        'ROUTES = [Route("/{name}", {snake}, methods=["GET"])]\n',
        "server/tests/api/test_{snake}.py",
        '"""`/api/{name}`, over a real socket."""\n\nfrom __future__ import annotations\n',
    ),
    "command": (
        f"{SERVER}/cli/{{snake}}.py",
        '"""`brakit {name}`."""\n\nfrom __future__ import annotations\n\n\ndef {snake}() -> int:\n'
        '    """What it does.\n\n    Example: `brakit {name}`\n    """\n    return 0\n',
        "server/tests/cli/test_{snake}.py",
        '"""`brakit {name}`, in a process of its own."""\n\nfrom __future__ import annotations\n',
    ),
    "view": (
        "dashboard/src/views/{camel}.svelte",
        '<script module lang="ts">\n  export const view = {{ title: "{title}", path: "{name}", icon: "dot", order: 99 }};\n</script>\n\n'
        "<h1>{title}</h1>\n",
        "dashboard/src/views/{camel}.test.ts",
        'import {{ expect, test }} from "vitest";\nimport {{ view }} from "./{camel}.svelte";\n\n'
        'test("is in the navigation", () => {{\n  expect(view.path).toBe("{name}");\n}});\n',
    ),
}


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in FILES:
        print(f"usage: make new KIND={'|'.join(FILES)} NAME=slow-thing")
        return 2
    kind, name = arguments
    snake = name.replace("-", "_")
    if not snake.isidentifier():
        print(f"make new: NAME={name!r} cannot be the name of a file")
        return 2
    words = snake.split("_")
    names = {"name": name, "snake": snake, "camel": "".join(w.capitalize() for w in words), "title": " ".join(words).capitalize()}
    source, text, test, test_text = FILES[kind]
    paths = [(ROOT / source.format(**names), text.format(**names)), (ROOT / test.format(**names), test_text.format(**names))]
    for path, _ in paths:
        if path.exists():
            print(f"make new: {path.relative_to(ROOT)} exists")
            return 1
    for path, content in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
