"""uvloop: errors that nobody awaits, on its event loop; see `asyncio.py`."""

from __future__ import annotations

import sys

from brakit.instrumentations import _loops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from brakit.patch import Patches

SUPPORTS = ">=0.17"


def instrument(patch: Patches) -> None:
    _loops.watch(patch, sys.modules["uvloop"].Loop, "uvloop:Loop")
