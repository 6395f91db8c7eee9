"""warnings: every warning that is shown, through warnings._showwarnmsg, as a log of the logger `py.warnings`.

No filter is touched: what is ignored or shown only once stays so. After `logging.captureWarnings(True)` the logging is what is
recorded. Not recorded: a warning that is turned into an exception, or that `catch_warnings(record=True)` collects.
"""

from __future__ import annotations

import sys

from brakit import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from types import FrameType
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ""

LOGGER = "py.warnings"
MAX_DEPTH = 50


def instrument(patch: Patches) -> None:
    patch.probe("warnings:_showwarnmsg", showwarnmsg)


def showwarnmsg(call: Call) -> Generator[None, Any, None]:
    if not _shown():
        return
    shown = call.arg("msg")
    category, text = shown.category.__name__, shown.message
    text = errors.message_of(text) if isinstance(text, BaseException) else text
    message = f"{category}: {text}" if type(text) is str else category
    log = call.client.record("log", level="warn", logger=LOGGER, message=message)
    log.cost = len(message)
    log.site = _site(sys._getframe(), shown.filename, shown.lineno)
    if log.site is None:
        log.data["callsite"] = (shown.filename, shown.lineno, "<module>")
    log.emit(call.client.buffer)
    yield


def _shown() -> bool:
    """Whether this warning gets to a person, and not by way of logging."""
    warnings: Any = sys.modules["warnings"]
    show = warnings.showwarning
    if show is not warnings._showwarning_orig:
        logging = sys.modules.get("logging")
        return logging is None or show is not vars(logging).get("_showwarning")
    # `catch_warnings(record=True)` puts the `append` of a list there; from 3.14 on the list may stand in a context.
    collecting = getattr(warnings, "_get_context", None)
    if collecting is not None and getattr(collecting(), "log", None) is not None:
        return False
    return hasattr(warnings._showwarnmsg_impl, "__code__")


def _site(frame: FrameType | None, filename: str, line: int) -> Any:
    """The code that the warning names, when it is one that is running."""
    for _ in range(MAX_DEPTH):
        if frame is None:
            return None
        if frame.f_lineno == line and frame.f_code.co_filename == filename:
            return frame.f_code, line
        frame = frame.f_back
    return None
