"""multiprocessing: last words of a child process, which leaves through os._exit and so past every exit handler.

Not recorded: from Python 3.13 on, what the finalizers of a spawned child do. It leaves like any program there, and they come after us.
"""

from __future__ import annotations

from brakit.guard import Raised

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ""

EXIT_S = 0.5


def instrument(patch: Patches) -> None:
    # Called by the child's bootstrap when its work is over, under every start method; the parent's exit handler is the original.
    patch.probe("multiprocessing.util:_exit_function", exit_function)


def exit_function(call: Call) -> Generator[None, Any, None]:
    """What the child's own finalizers did is captured too."""
    try:
        yield
    except Raised:
        pass
    call.client.flush(EXIT_S)
