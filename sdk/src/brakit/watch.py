"""Watches event loops for what blocks them: a thread of ours looks at the loop's thread from outside while requests are open.

Each tick it asks which task is running. The same one twice in a row is suspected: then the loop is asked for a sign of life (one
handle that does nothing but release a lock), and until it comes, the thread's stack is looked at. On the app's thread nothing is
done but to note which requests are open. What keeps the interpreter's lock all the while (a long regular expression) cannot be seen
from a thread.
"""

from __future__ import annotations

import sys
from _thread import get_ident

from brakit import context
from brakit.callsite import _COROUTINE, _GENERATOR, MAX_DEPTH, is_own
from brakit.clocks import clock, sleep
from brakit.native import original, start_thread
from brakit.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, FrameType
    from typing import Any

    from brakit.client import Client
    from brakit.context import Owner

    Site = tuple[CodeType, int] | None

TICK_S = 0.05
IDLE_TICKS = 20
"""Ticks without an open request after which the thread waits for one."""
REPORT_NS = 80_000_000
"""A loop that is blocked for less is no news."""
SIGN_S = 60.0
"""A loop that has given no sign of life for so long is told of as it is."""
MAX_OPEN = 10_000
MAX_DELAYED = 20
"""Ids of requests that had to wait which are named."""
NAME = "event loop blocked"


class Stretch:
    """One task that was seen running at every look, from the first to the last: nanoseconds, and how often at which line."""

    __slots__ = ("ns", "open", "places", "started", "task")

    def __init__(self, task: Any, started: int) -> None:
        self.task = task
        self.started = started
        self.ns = 0
        self.places: dict[tuple[Site, str], int] = {}
        # What was open at the last look: when the loop turns again, some of it will be over.
        self.open: list[tuple[Any, tuple[Any, Any, int]]] = []


class Watch:
    """The thread and what it looks at. One a process: a forked child starts anew with `reset`."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.running: Any = None
        self.current: Any = None
        self.reset()

    def reset(self) -> None:
        """Without a thread, and without requests: at first, and in a child process."""
        self.open: dict[Any, tuple[Any, Any, int]] = {}
        """By exchange: its loop, its task and the thread of both."""
        # Held while there is nothing to wake up for.
        self.signal: Any = original("_thread", "allocate_lock")()
        self.signal.acquire()
        self.awake = False
        self.started = False
        self.stopping = False
        self.looking = False
        """The thread is about to tell of what it has seen."""
        # By the loop's identity: the task that was running at the last look, and when.
        self.seen: dict[int, tuple[Any, int]] = {}

    def begin(self, exchange: Any) -> None:
        """On the app's thread: a request begins."""
        running = self.running
        if running is None:
            running = self.running = self.find()
        loop = running() if running is not None else None
        if loop is not None and len(self.open) < MAX_OPEN:
            if not self.awake:
                self.awake = True
                self.wake()
            self.open[exchange] = loop, self.current(loop), get_ident()

    def end(self, exchange: Any) -> None:
        """On the app's thread: it is over."""
        self.open.pop(exchange, None)

    def find(self) -> Any:
        """asyncio's own `_get_running_loop`, once it is there; without it no loop of its kind runs."""
        asyncio: Any = sys.modules.get("asyncio")
        if not hasattr(asyncio, "current_task"):
            return None
        self.current = asyncio.current_task
        return asyncio._get_running_loop

    def wake(self) -> None:
        if self.started:
            self.ring()
        else:
            self.started = True
            self.client.attempt("watch.start", start_thread, self._run, "brakit-watch")

    def ring(self) -> None:
        try:
            self.signal.release()
        except RuntimeError:
            # Another thread has done it.
            return

    def stop(self) -> None:
        """End the thread."""
        self.stopping = True
        self.open.clear()
        self.ring()

    def _run(self) -> None:
        idle = 0
        while not self.stopping:
            idle = 0 if self.open else idle + 1
            if idle > IDLE_TICKS:
                self.seen.clear()
                self.awake = False
                # A request may have begun between the two.
                if not self.open:
                    self.signal.acquire()
                self.awake = True
                idle = 0
            sleep(TICK_S)
            if self.open and not self.stopping:
                self.client.attempt("watch", self._look)

    def _look(self) -> None:
        loops = {id(loop): (loop, thread) for loop, _, thread in list(self.open.values())}
        before, self.seen = self.seen, {}
        for key, (loop, thread) in loops.items():
            task = self.current(loop)
            if task is None or loop.is_closed():
                continue
            known = before.get(key)
            if known is not None and known[0] is task:
                self.looking = True
                try:
                    self._wait(loop, thread, Stretch(task, known[1]))
                finally:
                    self.looking = False
            else:
                self.seen[key] = task, clock()

    def _wait(self, loop: Any, thread: int, first: Stretch) -> None:
        """Look at the thread until the loop gives a sign of life; hand over the longest stretch, if it was long."""
        sign = original("_thread", "allocate_lock")()
        sign.acquire()
        try:
            loop.call_soon_threadsafe(sign.release)
        except RuntimeError:
            # It has been closed meanwhile.
            return
        looked = clock()
        first.ns = min(looked - first.started, _most())
        self._note(first, thread)
        stretches = [first]
        until = looked + int(SIGN_S * 1e9)
        while not self.stopping and looked < until:
            alive = sign.acquire(timeout=TICK_S)
            now = clock()
            # What we were late ourselves may be the machine's doing: it is not counted.
            stretches[-1].ns += min(now - looked, _most())
            looked = now
            if alive:
                break
            task = self.current(loop)
            if task is None and not loop.is_running():
                break
            if task is not stretches[-1].task:
                stretches.append(Stretch(task, now))
            self._note(stretches[-1], thread)
        longest = max(stretches, key=lambda stretch: stretch.ns)
        if longest.task is not None and longest.ns >= REPORT_NS and not self.stopping:
            self._tell(loop, longest)

    def _note(self, stretch: Stretch, thread: int) -> None:
        place = _place(sys._current_frames().get(thread))
        stretch.places[place] = stretch.places.get(place, 0) + 1
        stretch.open = list(self.open.items())

    def _tell(self, loop: Any, stretch: Stretch) -> None:
        owner: Owner | None = None
        delayed = []
        for exchange, (its_loop, task, _) in stretch.open:
            if task is stretch.task:
                owner = exchange.owner
            elif its_loop is loop:
                delayed.append(exchange.owner)
        if owner is None:
            owner = _owner(stretch.task)
        root = owner.root if owner is not None else None
        others = [other.id for other in delayed if other is not root]
        (site, call), _ = max(stretch.places.items(), key=lambda place: place[1])
        attributes = {"source": "asyncio", "delayed": str(len(others))}
        if others:
            attributes["requests"] = " ".join(others[:MAX_DELAYED])
        if call:
            attributes["call"] = call
        block = Record("span", {"name": NAME, "span_id": context.new_span_id(), "attributes": attributes}, stretch.started)
        block.owner = owner
        block.site = site
        block.ended = stretch.started + stretch.ns
        block.emit(self.client.buffer)


def _most() -> int:
    return int(TICK_S * 1.5e9)


def _place(frame: FrameType | None) -> tuple[Site, str]:
    """The innermost line of the app's own in the task that is running, and the function of a library's that it has called."""
    called = ""
    inside = False
    for _ in range(MAX_DEPTH):
        if frame is None:
            break
        code = frame.f_code
        if code.co_flags & _COROUTINE:
            inside = True
        elif inside and not code.co_flags & _GENERATOR:
            # Nobody but the loop resumes a coroutine out of a plain function.
            break
        if is_own(code.co_filename):
            return (code, frame.f_lineno), called
        module = frame.f_globals.get("__name__")
        called = f"{module}.{code.co_name}" if type(module) is str else code.co_name
        frame = frame.f_back
    return None, called


def _owner(task: Any) -> Owner | None:
    """Whose a task is that a request has made: since Python 3.12 it can be asked for its context, before that `_loops` notes it."""
    if hasattr(task, "get_context"):
        return context.owner_in(task.get_context())
    try:
        owner: Owner | None = object.__getattribute__(task, "_brakit_owner")
    except AttributeError:
        return None
    return owner
