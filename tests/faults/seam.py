"""The lines of the seam itself: what stands between the app and its own call outside of any guard. They are not made to fail."""

from __future__ import annotations

import re

from tests.faults.injection import Line

NAMES = r"[\w.\[\]'\"]+"
GUARDS = (
    "run",
    "guard.run",
    "self.client.attempt",
    "client.attempt",
    "context.enter",
    "context.current",
    "enter",
    "current",
    "type",
    "isinstance",
)
"""What may be called in the seam: what guards, what sets a context variable, what looks at a type."""
CANNOT_FAIL = re.compile(
    r"(return )?([\w.]+ = )?("
    # Setting and reading a context variable, and reading a clock: where they failed, nothing that we write would help.
    rf"[\w.]+\.set\({NAMES}\)|covered\.set\(.*\)|\w+\.get\(\)"
    rf"|((_fetch|fetch|context)\.)?(uncover|enter|hush)\(({NAMES})?\)|(clock|now|perf_counter)\(\)"
    # Handing on: what is called is tried line by line, if it is ours.
    rf"|(super\(\)\.|self\.)?\w+\(({NAMES}(, {NAMES})*)?\)|(guard\.run|client\.attempt|run)\(({NAMES}(, {NAMES})*)?\)"
    r")|with \w+:"
)

GUARD = "the guard: it calls what may fail, or the app's own, and nothing else"
WRAPPED = "hands the call on to the app's own, between two guarded calls"
LISTENS = "a receiver of the library's signals: asks whether we are there, then guards"
MADE = "makes the closures that do so"
PUBLIC = "a public function: asks whether we are there, then guards"
STANDS_IN = "an object of ours stands in for the app's, or the server's, and asks that"

SEAM: dict[tuple[str, str], tuple[str, str]] = {
    ("guard.py", "run"): (GUARD, "function"),
    ("guard.py", "bracket.enter"): (GUARD, "probe next"),
    ("guard.py", "bracket.leave"): (GUARD, "step.send"),
    ("guard.py", "bracket.fail"): (GUARD, "step.throw Raised"),
    ("guard.py", "bracket.plain"): (GUARD, "original Call enter leave fail"),
    ("guard.py", "bracket.coroutine"): (GUARD, "original Call enter leave fail"),
    ("guard.py", "Call.__init__"): (GUARD, ""),
    ("instrumentations/_wsgi.py", "Outermost.__call__"): (WRAPPED, "self.app"),
    ("instrumentations/_wsgi.py", "around.call"): (
        WRAPPED,
        "original starting environ.get tell looks.inside looks.begin looks.caught looks.end looks.answered",
    ),
    ("instrumentations/_wsgi.py", "starting"): (MADE, ""),
    ("instrumentations/_wsgi.py", "starting.started"): (WRAPPED, "start_response looks.start looks.error"),
    ("instrumentations/_wsgi.py", "starting.started.written"): (WRAPPED, "write looks.sending"),
    ("instrumentations/_wsgi.py", "Answer.__getattr__"): (STANDS_IN, "getattr AttributeError name.startswith"),
    ("instrumentations/_wsgi.py", "Answer.__next__"): (STANDS_IN, "iter next looks.complete looks.caught looks.sending"),
    ("instrumentations/_wsgi.py", "Answer.close"): (STANDS_IN, "getattr close looks.closing looks.caught looks.end"),
    ("instrumentations/_wsgi.py", "Answer.__del__"): (STANDS_IN, "self.looks.dropped"),
    ("instrumentations/_wsgi.py", "Input._note"): (STANDS_IN, ""),
    ("instrumentations/_wsgi.py", "Input.read"): (STANDS_IN, "self._note self._source.read"),
    ("instrumentations/_wsgi.py", "Input.readline"): (STANDS_IN, "self._note self._source.readline"),
    ("instrumentations/_wsgi.py", "Input.readlines"): (STANDS_IN, "self._note self._source.readlines"),
    ("instrumentations/_wsgi.py", "Input.__iter__"): (STANDS_IN, "self._note self._source"),
    ("instrumentations/_wsgi.py", "Input.__getattr__"): (STANDS_IN, "getattr self._readinto value self._note"),
    ("instrumentations/_asgi.py", "Outermost.__call__"): (WRAPPED, "self.app"),
    ("instrumentations/_asgi.py", "around.call"): (WRAPPED, "original receiving sending scope.get begun tell caught ended"),
    ("instrumentations/_asgi.py", "receiving"): (MADE, ""),
    ("instrumentations/_asgi.py", "receiving.received"): (WRAPPED, "receive looks.received looks.complete"),
    ("instrumentations/_asgi.py", "sending"): (MADE, ""),
    ("instrumentations/_asgi.py", "sending.sent"): (WRAPPED, "send looks.sent looks.lost looks.complete"),
    ("instrumentations/sanic.py", "leading.handle_request"): (WRAPPED, "handle"),
    ("instrumentations/quart.py", "instrument.seen"): (LISTENS, ""),
    ("instrumentations/sqlite3.py", "connection_class.cursor"): (WRAPPED, "make"),
    ("instrumentations/psycopg2.py", "Classes.cursor_method.cursor"): (WRAPPED, "plain"),
    ("instrumentations/psycopg.py", "Psycopg.steps"): (WRAPPED, ""),
    ("instrumentations/psycopg.py", "Psycopg.commanding"): (WRAPPED, ""),
    ("instrumentations/_watched.py", "Watcher.cursor_class.counted"): (WRAPPED, "self._brakit_inner now StopIteration"),
    ("instrumentations/_watched.py", "Watcher.cursor_class.read"): (STANDS_IN, "iter counted"),
    ("instrumentations/_watched.py", "Watcher.connection_class.shortcut.method"): (WRAPPED, "plain hasattr"),
    ("instrumentations/_watched.py", "passing.method"): (WRAPPED, "getattr(self._brakit_inner, name) getattr"),
    ("instrumentations/_watched.py", "Proxy.__getattr__"): (STANDS_IN, "getattr"),
    ("instrumentations/_watched.py", "Proxy.__enter__"): (STANDS_IN, "self._brakit_inner.__enter__"),
    ("instrumentations/_watched.py", "Proxy.__exit__"): (STANDS_IN, "self._brakit_inner.__exit__"),
    ("instrumentations/_watched.py", "Cursor.__next__"): (STANDS_IN, "next"),
    ("instrumentations/psycopg.py", "Psycopg.command"): (
        "sees to it that what is covered is uncovered: attributes of ours only",
        "",
    ),
    ("instrumentations/structlog.py", "after"): ("the same", ""),
    ("instrumentations/loguru.py", "Patcher.__call__"): ("loguru calls it among the app's patchers", ""),
    ("instrumentations/_carried.py", "Carried.__call__"): (WRAPPED, "self.function"),
    ("instrumentations/_loops.py", "seen"): ("what comes after the owner is changed is guarded", "context.enter"),
    ("instrumentations/_driver.py", "Beside.__init__.forget"): (
        "a weak reference calls it: nothing but a dict of ours",
        "self.entries.get gone",
    ),
    ("instrumentations/django.py", "listening.raised"): (
        LISTENS,
        "sys.exc_info",
    ),
    ("instrumentations/_driver.py", "Driver.forgotten"): (GUARD, ""),
    ("instrumentations/pymongo.py", "register.Listener.started"): (LISTENS, "sys._getframe"),
    ("instrumentations/pymongo.py", "register.Listener.succeeded"): (LISTENS, ""),
    ("instrumentations/pymongo.py", "register.Listener.failed"): (LISTENS, ""),
    ("patch.py", "Finder.find_spec"): (
        "asks the app's finders",
        "get_ident self.busy.add list hasattr finder.find_spec self.busy.discard self.attempt",
    ),
    ("patch.py", "Finder.watch.exec_module"): ("runs the app's module", "execute loader.__dict__.pop self.attempt"),
    ("client.py", "activate"): (GUARD, "Failures Decision"),
    ("client.py", "_at_exit"): (GUARD, "_client.attempt getattr hasattr"),
    ("client.py", "_in_child"): (GUARD, "_client.attempt"),
    ("client.py", "_before_fork"): ("the interpreter tells of what it raises, and forks", "_client.importing.acquire"),
    ("client.py", "_after_fork"): ("the interpreter tells of what it raises", "_client.importing.release"),
    ("transport.py", "Sender._run"): (GUARD, "sleep self._disconnect self.lock"),
    ("client.py", "Client.attempt"): (GUARD, ""),
    ("api.py", "capture_error"): (PUBLIC, "client.current sys.exc_info issubclass"),
    ("api.py", "auth_check"): (PUBLIC, "client.current sys._getframe"),
    ("api.py", "span.__enter__"): (PUBLIC, "client.current sys._getframe"),
    ("api.py", "span.__exit__"): (PUBLIC, "client.current"),
    ("instrumentations/arq.py", "serialize.with_ids"): ("arq calls it in place of its serializer", "serializer"),
    ("instrumentations/arq.py", "deserialize.noting"): ("arq calls it in place of its deserializer", "deserializer"),
}
"""Functions of the seam, why they are it, and what else they call, which is the app's. Every other call in them is tried."""


def is_seam(line: Line) -> bool:
    """Whether a line is left alone: it cannot fail, or it is the seam."""
    if line.plain or CANNOT_FAIL.fullmatch(line.text):
        return True
    known = SEAM.get((line.file, line.function))
    return known is not None and all(call in GUARDS or call in known[1] for call in line.calls)


EARLY = {"original", "fork_mark"}
"""Functions of `native.py` that the first lines of our modules call: while brakit itself is imported there is no guard yet. They look
up names of the standard library, and catch what the system may refuse. Later calls of them are tried."""


def is_early(line: Line) -> bool:
    return line.file == "native.py" and line.function in EARLY
