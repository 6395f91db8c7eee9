"""Comments at the app's lines that speak to us: `# brakit: ignore[n1] reason`.

One counts for the whole statement on whose lines it stands, and for the statement right below when it has a line of its own. Files
are read on the sender's thread, once.
"""

from __future__ import annotations

import ast
import io
import os
import stat
import tokenize

MAX_BYTES = 2_000_000
MAX_FILES = 2_000
SIGN = b"brakit:"
WORD = "brakit: ignore"

_files: dict[str, dict[int, str]] = {}


def ignored(filename: str, line: int) -> str | None:
    """What stands behind `brakit: ignore` for this line; None where there is no such comment."""
    known = _files.get(filename)
    if known is None:
        if len(_files) >= MAX_FILES:
            _files.clear()
        known = _files[filename] = _read(filename)
    return known.get(line)


def forget() -> None:
    """Files may be others now."""
    _files.clear()


def _read(filename: str) -> dict[int, str]:
    try:
        with open(filename, "rb") as file:
            state = os.fstat(file.fileno())
            if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_BYTES:
                return {}
            source = file.read(MAX_BYTES)
        if SIGN not in source:
            return {}
        comments, alone = _comments(source)
        return _by_line(ast.parse(source), comments, alone) if comments else {}
    except (OSError, ValueError, SyntaxError, tokenize.TokenError, RecursionError, MemoryError):
        return {}


def _comments(source: bytes) -> tuple[dict[int, str], set[int]]:
    """Texts by line, and the lines that have nothing else."""
    found: dict[int, str] = {}
    alone: set[int] = set()
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == tokenize.COMMENT:
            text = token.string.lstrip("#").strip()
            if text.startswith(WORD) and not text[len(WORD) : len(WORD) + 1].isalnum():
                found[token.start[0]] = text[len(WORD) :].strip()
                if not token.line[: token.start[1]].strip():
                    alone.add(token.start[0])
    return found, alone


def _by_line(tree: ast.AST, comments: dict[int, str], alone: set[int]) -> dict[int, str]:
    """Texts by every line that they count for."""
    counted = dict(comments)
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None) or getattr(node, "cases", None)
        first, last = node.lineno, node.end_lineno or node.lineno
        if body:
            # Of what has a body the head is meant.
            first_inside = body[0]
            head = getattr(first_inside, "lineno", None) or first_inside.pattern.lineno
            last = max(first, head - 1)
            while last > first and last in alone:
                last -= 1
        said = next((comments[line] for line in range(first, last + 1) if line in comments), None)
        if said is None and first - 1 in alone:
            said = comments[first - 1]
        if said is not None:
            for line in range(first, last + 1):
                counted[line] = said
    return counted
