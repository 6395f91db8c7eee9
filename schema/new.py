"""`make new KIND=rule NAME=slow-thing`: a new file of a kind, and its test, both ready to be filled."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = ROOT / "schema/templates"

PATHS = {
    "instrumentation": ("sdk/src/brakit/instrumentations/{snake}.py", "sdk/tests/instrumentations/test_{snake}.py"),
    "rule": ("server/src/brakit_server/analysis/rules/{snake}.py", "server/tests/analysis/corpus/{snake}.py"),
    "resource": ("server/src/brakit_server/api/{snake}.py", "server/tests/api/test_{snake}.py"),
    "command": ("server/src/brakit_server/cli/{snake}.py", "server/tests/cli/test_{snake}.py"),
    "view": ("dashboard/src/views/{camel}.svelte", "dashboard/src/views/{camel}.test.ts"),
}
"""Kind → its file and its test. The contents are in templates/<kind>.txt and templates/<kind>.test.txt."""


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or arguments[0] not in PATHS:
        print(f"usage: make new KIND={'|'.join(PATHS)} NAME=slow-thing")
        return 2
    kind, name = arguments
    snake = name.replace("-", "_")
    if not snake.isidentifier():
        print(f"make new: NAME={name!r} cannot be the name of a file")
        return 2
    words = snake.split("_")
    names = {"name": name, "snake": snake, "camel": "".join(w.capitalize() for w in words), "title": " ".join(words).capitalize()}
    texts = [(TEMPLATES / f"{kind}{suffix}").read_text() for suffix in (".txt", ".test.txt")]
    paths = [(ROOT / path.format(**names), text.format(**names)) for path, text in zip(PATHS[kind], texts, strict=True)]
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
