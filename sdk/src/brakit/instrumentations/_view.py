"""Which function of the app answers: where a check belongs that a framework makes on its behalf."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

MAX_WRAPPED = 20


def definition(view: Any) -> tuple[CodeType, int] | None:
    """Code and first line of a function, through decorators that say what they wrap; None for anything else."""
    for _ in range(MAX_WRAPPED):
        inner = getattr(view, "__dict__", {}).get("__wrapped__")
        if inner is None:
            break
        view = inner
    code = getattr(view, "__code__", None)
    return (code, code.co_firstlineno) if code is not None and isinstance(getattr(code, "co_firstlineno", None), int) else None
