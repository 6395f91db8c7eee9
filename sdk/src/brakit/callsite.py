"""The innermost line of the app's own code: a walk over frames that reads nothing but file names."""

from __future__ import annotations

import os
import sys
from contextvars import ContextVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType
    from typing import Any

MAX_DEPTH = 200
MAX_FRAMES = 100
"""Frames kept of one traceback: the outermost half and the innermost half of a deeper one."""
MAX_FILES = 20_000
MAX_LINES = 5000

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        # It is gone.
        return ""


def _not_own() -> tuple[str, ...]:
    """The standard library, and the scripts that installed packages bring (`bin/uvicorn`)."""
    library = os.path.dirname(os.path.abspath(os.__file__))
    folders = (library, os.path.realpath(library), os.path.join(sys.prefix, "bin"), os.path.join(sys.prefix, "Scripts"))
    return tuple(folder + os.sep for folder in folders)


_FOLDER = _working_folder()
"""Where the program was started: names of files that are relative are so to this."""
_NOT_OWN = _not_own()
_LIBRARY_FOLDERS = ("site-packages", "dist-packages")
_BORDER = os.path.join("asgiref", "sync.py")
"""The file whose frames lie between work that was handed to a thread and what that thread was doing before, which has not led to it."""
_LOOP = (os.path.join("asyncio", "events.py"), os.path.join("asyncio", "runners.py"), os.path.join("gevent", "hub.py"))
"""Files of the event loops. Below them is who runs the loop, which has not led to what a task of a library's does."""
_own: dict[str, bool | None] = {}
"""For each file whether it is the app's own; None for the borders."""

_lines: dict[tuple[int, int], tuple[CodeType, int]] = {}
"""Code and line by the code's identity and the place in it: to find the line out costs more than all else about it. What is kept here
keeps its code alive, so that an identity stays its own."""

_COROUTINE = 0x80 | 0x200  # CO_COROUTINE, CO_ASYNC_GENERATOR
_GENERATOR = 0x20 | 0x100  # CO_GENERATOR, CO_ITERABLE_COROUTINE

handed: ContextVar[tuple[CodeType, int] | None] = ContextVar("brakit_handed", default=None)
"""The app's line that waits for what goes on in this thread: where no line of the app's is on the stack, this one has led here."""


def is_own(filename: str) -> bool:
    """True for the app's own code: neither ours, nor the standard library's, nor an installed package's."""
    if filename not in _own:
        if len(_own) >= MAX_FILES:
            _own.clear()
        _own[filename] = _judge(filename) or (None if filename.endswith((_BORDER, *_LOOP)) else False)
    return bool(_own.get(filename))


def _judge(filename: str) -> bool:
    if filename.startswith("<"):
        return False
    # By the name alone: this is the app's thread, and what asks for the working folder may wait for a disk.
    path = os.path.normpath(os.path.join(_FOLDER, filename))
    if path.startswith(_HERE):
        return False
    parts = path.split(os.sep)
    return not any(folder in parts for folder in _LIBRARY_FOLDERS) and not path.startswith(_NOT_OWN)


def find(frame: FrameType | None) -> tuple[CodeType, int] | None:
    """The innermost own frame from `frame` outwards; else the line that waits for this thread, None when there is none.

    Async SQLAlchemy runs the driver in a greenlet, whose frames end where it was switched to: the walk goes on in its parent
    (https://docs.sqlalchemy.org/en/20/_modules/sqlalchemy/util/concurrency.html).
    """
    own = _own
    greenlet = None
    while True:
        start = frame
        # The dearest part of a query's record: a dozen frames and more of libraries lie between its statement and the app.
        for _ in range(MAX_DEPTH):
            if frame is None:
                break
            code = frame.f_code
            try:
                known = own[code.co_filename]
            except KeyError:
                is_own(code.co_filename)
                known = own.get(code.co_filename)
            if known is not False:
                if known:
                    if not code.co_flags & _COROUTINE and _loop_runs() and _in_task(start, frame):
                        return handed.get()
                    place = (id(code), frame.f_lasti)
                    return _lines.get(place) or _line(place, code, frame)
                site = handed.get()
                if site is not None or code.co_filename.endswith(_LOOP):
                    return site
            frame = frame.f_back
        else:
            return handed.get()
        if greenlet is None:
            library = sys.modules.get("greenlet")
            greenlet = library.getcurrent() if library is not None else None
        greenlet = greenlet.parent if greenlet is not None else None
        if greenlet is None:
            return handed.get()
        frame = greenlet.gr_frame
        if frame is None:
            return handed.get()


def _line(place: tuple[int, int], code: CodeType, frame: FrameType) -> tuple[CodeType, int]:
    if len(_lines) >= MAX_LINES:
        _lines.clear()
    found = _lines[place] = code, frame.f_lineno
    return found


def _loop_runs() -> bool:
    events: Any = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


def _in_task(frame: FrameType | None, runner: FrameType) -> bool:
    """Whether a task lies between the two frames, so that `runner` is who runs the loop. uvloop, written in C, has no frame to tell.

    Nobody but a loop resumes a coroutine out of a plain function.
    """
    inside = False
    while frame is not None:
        flags = frame.f_code.co_flags
        if flags & _COROUTINE:
            inside = True
        elif inside and not flags & _GENERATOR:
            return True
        if frame is runner:
            break
        frame = frame.f_back
    return False


def frames_of(traceback: TracebackType | None) -> list[tuple[CodeType, int]]:
    """Code and line of each frame of a traceback, outermost first; holds no frame, so no local variable lives on."""
    frames: list[tuple[CodeType, int]] = []
    while traceback is not None:
        frames.append((traceback.tb_frame.f_code, traceback.tb_lineno))
        traceback = traceback.tb_next
        if len(frames) > 2 * MAX_FRAMES:
            del frames[MAX_FRAMES // 2 : MAX_FRAMES]
    if len(frames) > MAX_FRAMES:
        del frames[MAX_FRAMES // 2 : -(MAX_FRAMES // 2)]
    return frames
