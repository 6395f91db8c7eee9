"""Makes each line of brakit able to fail: its modules are compiled with a question before each statement.

A finder in front of the import system does it. `install()` has to come before brakit is imported. Nothing else is changed: frames,
lines and the depth of calls stay as they are.
"""

from __future__ import annotations

import ast
import os
import sys
from _thread import get_ident
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

SOURCE = Path(__file__).resolve().parent.parent.parent / "sdk/src"
QUESTION = "__brakit_fault__"
IDLE, RECORDING, ARMED = range(3)


class Injected(Exception):
    """A failure of ours, made on purpose."""


@dataclass(frozen=True)
class Line:
    """A statement of ours, which fails before it has done anything. What has done all fails with the next one of its caller.

    `calls` are the names of what it calls, `plain` says that it cannot fail: it binds, compares by identity or returns what is there.
    """

    file: str
    function: str
    line: int
    text: str
    calls: frozenset[str]
    plain: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}: `{self.text}`"


class Faults:
    """Which line fails now, on whose thread; and which lines have run."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.state = IDLE
        self.target = -1
        self.of_sender = False
        self.once = False
        self.fired = 0
        self.seen: dict[int, None] = {}
        self.senders: set[int] = set()
        self.sender_entries: set[int] = set()
        self.anywhere = False
        self.key = ""
        self.left_alone: Callable[[Line], bool] = lambda line: line.plain
        self.file = -1

    def __call__(self, number: int) -> None:
        if number in self.sender_entries:
            self.senders.add(get_ident())
        if self.state == IDLE:
            return
        if not self.anywhere and (get_ident() in self.senders) != self.of_sender:
            return
        if self.state == RECORDING:
            if self.file >= 0 and number not in self.seen and not self.left_alone(self.lines[number]):
                os.write(self.file, f"{self.lines[number].file}:{self.lines[number].line}\n".encode())
            self.seen[number] = None
        elif number == self.target and not (self.once and self.fired):
            self.fired += 1
            raise Injected(f"at {self.lines[number]}")

    def add(self, line: Line) -> int:
        self.lines.append(line)
        if line.function == "Sender._run":
            self.sender_entries.add(len(self.lines) - 1)
        if self.key == f"{line.file}:{line.line}":
            self.arm(len(self.lines) - 1)
        return len(self.lines) - 1

    def record(self, of_sender: bool = False) -> None:
        """Note which lines run from now on."""
        self.seen = {}
        self.of_sender = of_sender
        self.state = RECORDING

    def arm(self, number: int, of_sender: bool = False, once: bool = False) -> None:
        """From now on that line fails: each time, or the first time only."""
        self.target = number
        self.fired = 0
        self.once = once
        self.of_sender = of_sender
        self.state = ARMED

    def from_outside(self, told: str) -> None:
        """In a process of its own, on all of its threads: record into an open file of that number, or let that line fail."""
        self.anywhere = True
        if told.isdigit():
            self.file = int(told)
            self.record()
        else:
            self.key = told

    def rest(self) -> None:
        self.state = IDLE


faults = Faults()


PLAIN = (
    ast.Name, ast.Constant, ast.Tuple, ast.Compare, ast.Is, ast.IsNot, ast.expr_context, ast.Assign, ast.AnnAssign, ast.Return,
    ast.Starred, ast.Expr, ast.Delete, ast.Yield,
)  # fmt: skip


def _of_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def head(statement: ast.stmt) -> list[ast.AST]:
    """What a statement evaluates before its block, if it has one."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return [*statement.decorator_list, *statement.args.defaults]
    if isinstance(statement, ast.ClassDef):
        return [statement]
    if isinstance(statement, (ast.If, ast.While)):
        return [statement.test]
    if isinstance(statement, (ast.For, ast.AsyncFor)):
        # Iterating is a call.
        return [ast.Call(statement.iter, [], [])]
    if isinstance(statement, (ast.With, ast.AsyncWith)):
        return [ast.Call(item.context_expr, [], []) for item in statement.items]
    if isinstance(statement, ast.Match):
        return [statement.subject]
    if isinstance(statement, ast.AnnAssign):
        return [statement.target, *([statement.value] if statement.value is not None else [])]
    if isinstance(statement, ast.Raise):
        return [statement.exc] if statement.exc is not None else []
    return [] if isinstance(statement, (ast.Try, getattr(ast, "TryStar", ast.Try))) else [statement]


class Questions(ast.NodeTransformer):
    """Puts `__brakit_fault__(n)` before each statement of each function, and after its last."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.names: list[str] = []
        self.inside = 0

    def question(self, at: ast.stmt) -> ast.stmt:
        parts = head(at)
        nodes = [node for part in parts for node in ast.walk(part)]
        calls = frozenset(ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call))
        plain = all(isinstance(node, PLAIN) or _of_self(node) for node in nodes)
        text = ast.unparse(at).partition("\n")[0][:80]
        number = faults.add(Line(self.file, ".".join(self.names), at.lineno, text, calls, plain))
        node = ast.Expr(ast.Call(ast.Name(QUESTION, ast.Load()), [ast.Constant(number)], []))
        for part in ast.walk(node):
            ast.copy_location(part, at)
        return node

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        made: list[ast.stmt] = []
        for statement in body:
            quiet = isinstance(statement, (ast.Pass, ast.Global, ast.Nonlocal)) or (
                isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            )
            if self.inside and not quiet:
                made.append(self.question(statement))
            made.append(self.visit(statement))
        return made

    def visit_body(self, node: Any) -> Any:
        for field in ("body", "orelse", "finalbody"):
            if isinstance(getattr(node, field, None), list):
                setattr(node, field, self.block(getattr(node, field)))
        for handler in getattr(node, "handlers", ()):
            handler.body = self.block(handler.body)
        for case in getattr(node, "cases", ()):
            case.body = self.block(case.body)
        return node

    visit_If = visit_For = visit_AsyncFor = visit_While = visit_Try = visit_TryStar = visit_With = visit_AsyncWith = visit_body  # noqa: N815
    visit_Match = visit_Module = visit_body  # noqa: N815

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        self.names.append(node.name)
        inside, self.inside = self.inside, 0
        node.body = self.block(node.body)
        self.inside = inside
        self.names.pop()
        return node

    def visit_FunctionDef(self, node: Any) -> Any:
        self.names.append(node.name)
        inside, self.inside = self.inside, 1
        node.body = self.block(node.body)
        self.inside = inside
        self.names.pop()
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def generic_visit(self, node: ast.AST) -> ast.AST:
        # Statements without a block: nothing in them is a statement.
        return node


class Loader(SourceFileLoader):
    """Compiles from the source each time: no cache has the questions in it."""

    def get_code(self, fullname: str) -> CodeType:
        path = Path(self.get_filename(fullname))
        tree = Questions(path.relative_to(SOURCE / "brakit").as_posix()).visit(ast.parse(path.read_text()))
        code: CodeType = compile(tree, str(path), "exec", dont_inherit=True)
        return code


class Finder:
    """Finds the modules of brakit, and nothing else."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != "brakit" and not name.startswith("brakit."):
            return None
        spec = PathFinder.find_spec(name, [str(SOURCE)] if path is None else path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Loader(name, spec.loader.path)
        return spec


def install() -> None:
    """From here on brakit can be made to fail."""
    import builtins

    assert "brakit" not in sys.modules, "brakit is there already"
    setattr(builtins, QUESTION, faults)
    sys.meta_path.insert(0, Finder())
