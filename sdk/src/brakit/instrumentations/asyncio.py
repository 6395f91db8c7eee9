"""asyncio: errors that nobody awaits, through the loop's call_exception_handler: of tasks, of callbacks, of protocols.

The loop reports them as without us, through the app's own exception handler if there is one. Not recorded: a report without an
exception (it is a log record of the logger `asyncio`), and KeyboardInterrupt and SystemExit, which end the program elsewhere.
"""

from __future__ import annotations

import sys

from brakit.instrumentations import _loops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from brakit.patch import Patches

SUPPORTS = ""


def instrument(patch: Patches) -> None:
    _loops.watch(patch, sys.modules["asyncio.base_events"].BaseEventLoop, "asyncio.base_events:BaseEventLoop")
