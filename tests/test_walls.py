"""The walls of the house (docs/architecture.md): who may import whom, what is public, what is generated, what has a test."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import brakit

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
SDK = ROOT / "sdk/src/brakit"
SERVER = ROOT / "server/src/brakit_server"

# From left to right: a room imports those before it. The shape and what knows nothing of events come first; then, as an event walks,
# what it is made of (clocks, context, record), capture, buffer, transport; last the places that join.
SDK_ROOMS = (
    "events", "native", "clocks", "sampling", "scrub", "entry_points", "config", "activation", "guard", "context", "record",
    "callsite", "errors", "patch", "buffer", "sensitive", "pairs", "phrases", "quoting", "redact", "sqltext", "sql", "inputs",
    "masked", "conform", "parts", "comments", "fragments", "wire", "connection", "discovery", "revision", "transport", "watch",
    "client", "api", "instrumentations", "__init__", "doctor", "__main__",
)  # fmt: skip
SERVER_ROOMS = (
    "__init__", "sketch", "records", "answers", "details", "suggestions", "tokens", "meters", "memory", "terminal", "config", "running",
    "security", "connections", "filters", "ingest", "stores", "analysis", "stream", "pipeline", "local", "api", "mcp", "app",
    "cli", "bootstrap",
)  # fmt: skip

# Ingest makes the batch that a store takes; the batch stands with the protocol that all stores share.
TAKES = {("brakit_server", "ingest"): {"stores"}}


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


def room_of(path: Path, root: Path) -> str:
    return path.relative_to(root).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Line, module and whether it is imported when the file is, for each import that is not for the type checker alone."""
    tree = ast.parse(path.read_text())

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[int, str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
                for other in child.orelse:
                    yield from walk(other, inside)
            elif isinstance(child, ast.Import):
                yield from ((child.lineno, alias.name, not inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}:{child.lineno}: imports name the whole path"
                module = child.module or ""
                for alias in child.names:
                    deeper = f"{module}.{alias.name}"
                    yield child.lineno, deeper if module in ("brakit", "brakit_server") else module, not inside
            else:
                yield from walk(child, inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)))

    return walk(tree, False)


@pytest.mark.parametrize(("root", "package", "rooms"), [(SDK, "brakit", SDK_ROOMS), (SERVER, "brakit_server", SERVER_ROOMS)])
def test_a_room_imports_only_what_is_to_its_left(root: Path, package: str, rooms: tuple[str, ...]) -> None:
    wrong = []
    for path in files(root):
        room = room_of(path, root)
        assert room in rooms, f"{path.relative_to(ROOT)}: give the room a place in the order"
        for line, module, now in imports(path):
            head, _, rest = module.partition(".")
            target = rest.partition(".")[0]
            if head != package or not now:
                continue
            # A name that is no file stands in the package's own `__init__`, such as the version.
            if target not in rooms:
                continue
            if rooms.index(target) > rooms.index(room) and target not in TAKES.get((package, room), ()):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


LATER = {
    # The client joins the rooms; what is dear to import comes with the first event.
    "client": {"transport", "discovery", "revision"},
    # A patch runs the instrumentations by their names, which it reads from the folder.
    "patch": {"instrumentations"},
    "transport": {"__init__"},
    # `brakit.asgi`, `brakit.wsgi` and `brakit.dbapi` are instrumentations that the app puts in place by hand.
    "api": {"instrumentations"},
}


def test_what_the_sdk_imports_later_is_to_the_left_as_well_or_named_here() -> None:
    wrong = []
    for path in files(SDK):
        room = room_of(path, SDK)
        for line, module, now in imports(path):
            head, _, rest = module.partition(".")
            target = rest.partition(".")[0]
            if head != "brakit" or now:
                continue
            target = target if target in SDK_ROOMS else "__init__"
            if SDK_ROOMS.index(target) > SDK_ROOMS.index(room) and target not in LATER.get(room, ()):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_the_sdk_needs_nothing_but_the_standard_library() -> None:
    wrong = []
    for path in files(SDK):
        for line, module, now in imports(path):
            top = module.partition(".")[0]
            # An instrumentation runs when its target has been imported: then, and only then, it may look into it.
            target = not now and path.parent.name == "instrumentations" and path.stem == top
            if top not in sys.stdlib_module_names and top != "brakit" and not target:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_of_the_sdk_the_server_uses_the_shape_the_summary_of_sql_and_the_redaction() -> None:
    allowed = {"events", "sql", "redact", "sensitive", "masked", "discovery", "activation", "config"}
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {module}"
        for path in files(SERVER)
        # `local` records its own process: it drives the SDK.
        if room_of(path, SERVER) not in ("bootstrap", "local")
        for line, module, _ in imports(path)
        if module.split(".")[0] == "brakit" and module.split(".")[1:2] and module.split(".")[1] not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def test_the_public_names_are_pinned() -> None:
    assert brakit.__all__ == ["asgi", "auth_check", "capture_error", "dbapi", "flush", "scrub", "shutdown", "span", "wsgi"]
    lines = len((SDK / "__init__.py").read_text().splitlines())
    assert lines <= 40


def test_every_exception_is_caught_in_the_guard_only() -> None:
    wrong = []
    for path in files(SDK):
        if path.name == "guard.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = [ast.unparse(item) for item in (node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]) if item]
            # What catches and raises again swallows nothing: the same exception goes on.
            raises = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if not caught or "Exception" in caught or ("BaseException" in caught and not raises):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", sorted((SDK / "instrumentations").glob("*.py")), ids=lambda path: path.stem)
def test_an_instrumentation_knows_the_core_and_what_is_shared_but_no_other(path: Path) -> None:
    for line, module, _ in imports(path):
        if module.startswith("brakit.instrumentations"):
            name = module.rpartition(".")[2]
            assert name.startswith("_") or name == "instrumentations", f"{path.name}:{line} imports {module}"


def test_what_is_generated_is_up_to_date() -> None:
    ran = subprocess.run([sys.executable, "schema/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


MIRRORED = {
    SDK / "instrumentations": ROOT / "sdk/tests/instrumentations",
    SERVER / "cli": ROOT / "server/tests/cli",
}


@pytest.mark.parametrize("folder", MIRRORED, ids=lambda folder: folder.name)
def test_each_of_them_has_its_test(folder: Path) -> None:
    missing = []
    for path in sorted(folder.glob("*.py")):
        # What starts with an underscore has no target of its own: it is tested through those that use it.
        if path.stem.startswith("_"):
            continue
        tests = MIRRORED[folder]
        # A large one has a folder of tests.
        if not (tests / path.stem).is_dir() and not list(tests.rglob(f"test_{path.stem}.py")):
            missing.append(str((tests / f"test_{path.stem}.py").relative_to(ROOT)))
    assert not missing, "\n".join(missing)


def test_each_rule_has_its_labelled_cases() -> None:
    rules = {path.stem for path in (SERVER / "analysis/rules").glob("[!_]*.py")}
    assert rules == {path.stem for path in (ROOT / "server/tests/analysis/corpus").glob("*.py")}


def test_each_file_of_the_core_has_its_test() -> None:
    missing = [
        path.name
        for path in sorted(SDK.glob("*.py"))
        if not path.stem.startswith("__") and not (ROOT / f"sdk/tests/test_{path.stem}.py").exists()
    ]
    # The shape is tested by what is generated from it; the clocks by every duration; the tables of secrets by the redaction.
    assert set(missing) <= {"events.py", "clocks.py", "sensitive.py", "sqltext.py", "conform.py"}
