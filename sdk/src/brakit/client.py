"""The client: owns the settings, the buffer, the sender and the patches of one process. There is one slot for one client."""

from __future__ import annotations

import atexit
import os
import sys

from brakit import guard
from brakit.activation import Decision, decide
from brakit.buffer import Buffer
from brakit.clocks import wall
from brakit.config import Config
from brakit.guard import Failures
from brakit.native import original
from brakit.patch import Patches
from brakit.record import Record
from brakit.sampling import sampler_of
from brakit.watch import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

EXIT_S = 0.4
"""How long the end of the process may be held up for the last words."""

MAX_FAILURES = 20
"""Places at which we have failed that a batch names."""

_client: Client | None = None
_hooked = False


class Client:
    """Everything of ours in one process. `open` is what every probe asks first."""

    def __init__(self, config: Config, decision: Decision) -> None:
        self.config = config
        self.decision = decision
        self.open = False
        self.failures = Failures()
        self.folder = _working_folder()
        self.framework = ""
        self.started = wall() / 1e6
        self.patches = Patches(self)
        self.buffer = Buffer(config.buffer, self._wake, self.forked)
        self.sender: Any = None
        self._starting = [True]
        # Held while we import: a child that is forked in the middle of an import waits for ever when it imports the same.
        self.importing = original("_thread", "allocate_lock")()
        self.forking = False
        # The classes that `dbapi` has made, by source and system.
        self.watchers: dict[tuple[str, str], Any] = {}
        self._root: str | None = None
        self._revision: str | None = None
        # None, for most, spares every request a look at the rules.
        self.sampler = sampler_of(config)
        self.watch = Watch(self) if config.watch else None

    def start(self) -> None:
        """Arm the instrumentations. No thread, no file, no library: those come with the first record."""
        self.open = True
        self.patches.arm()

    def record(self, kind: str, **data: object) -> Record:
        """A new record, its clock running."""
        return Record(kind, data)

    def attempt(self, place: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call one of our own functions; None when it fails."""
        return guard.run(self.failures, place, function, *args, **kwargs)

    def _wake(self) -> None:
        if self.sender is not None:
            self.sender.wake()
            return
        try:
            # Atomic: of two threads with a first record, one starts the sender and the other goes on.
            self._starting.pop()
        except IndexError:
            return
        self.attempt("transport.start", self._start_sender)

    def _start_sender(self) -> None:
        with self.importing:
            from brakit.transport import Sender

        self.sender = Sender(self)
        self.sender.start()

    def look(self) -> None:
        """Look for the server now, on the sender's thread, though there is nothing to send yet: somebody may ask where it is."""
        if self.sender is None or self.sender.address is None:
            self._wake()
            if self.sender is not None:
                self.sender.look()

    @property
    def root(self) -> str:
        """The project root, looked up once, on the sender's thread."""
        if self._root is None:
            from brakit.discovery import project_root
            from brakit.revision import revision_of

            self._root = project_root(self.folder)
            self._revision = revision_of(self._root)
        return self._root

    def resource(self) -> dict[str, object]:
        """This process, as every batch names it."""
        import socket

        return {
            "service": self.config.service or os.path.basename(self.root) or "app",
            "pid": os.getpid(),
            "started": round(self.started, 3),
            "host": socket.gethostname(),
            "runtime": f"{sys.implementation.name} {sys.version.split()[0]}",
            "framework": self.framework or None,
            "instrumentations": dict(self.patches.versions),
            "failures": self._failures(),
            "root": self.root,
            "revision": self._revision,
        }

    def _failures(self) -> dict[str, str] | None:
        from brakit import redact

        first = list(self.failures.first.items())[:MAX_FAILURES]
        return {place: redact.text(text) for place, text in first} or None

    def forked(self) -> None:
        """In a child process: what is buffered and under way is the parent's to send; thread and locks do not exist here."""
        # Held by a thread that does not exist here, in the middle of an import that will never end: whoever imports the same waits for
        # ever. `_before_fork` has waited for it, but some servers fork without asking.
        cut_short = self.importing.locked() and not self.forking
        self.forking = False
        # Where something fails below, the child stays off: it has the parent's locks.
        opened, self.open = self.open, False
        self._starting = []
        sender, self.sender = self.sender, None
        self.buffer.reset()
        self.started = wall() / 1e6
        self.importing = original("_thread", "allocate_lock")()
        if not cut_short:
            self.open = opened
            self._starting = [True]
        if self.watch is not None:
            self.watch.reset()
        if sender is not None:
            self.attempt("transport.abandon", sender.abandon)

    def check_process(self) -> None:
        """Start anew where this is a child of the process that it was."""
        if not self.buffer.here[0]:
            self.forked()

    def flush(self, timeout: float) -> bool:
        """Send what is buffered; True when all has arrived within `timeout` seconds."""
        self.check_process()
        if self.sender is None:
            return not self.buffer.records
        return bool(self.attempt("transport.flush", self.sender.flush, timeout))

    def shutdown(self, timeout: float = EXIT_S) -> None:
        """Put every original back, send what is there, end the thread."""
        self.open = False
        self.check_process()
        self.attempt("restore", self.patches.restore)
        if self.watch is not None:
            self.attempt("watch.stop", self.watch.stop)
        if self.sender is not None:
            self.attempt("transport.stop", self.sender.stop, timeout)


def current() -> Client | None:
    """The client of this process, None when we are switched off."""
    return _client


def activate() -> Decision:
    """Start, once, if this process is one to run in. What stands in the way is said on stderr when the person may not know."""
    failures = Failures()
    decision = guard.run(failures, "activate", _activate, failures)
    return decision if decision is not None else Decision(False, f"off: a failure of ours: {failures.first}")


def _activate(failures: Failures) -> Decision:
    global _client, _hooked
    config = Config()
    decision = decide(config)
    for problem in config.problems:
        _say(problem)
    if not decision.on:
        if decision.loud:
            _say(decision.reason)
        return decision
    if _client is None:
        client = Client(config, decision)
        client.failures = failures
        _client = client
        client.attempt("start", client.start)
        if not _hooked:
            _hooked = True
            atexit.register(_at_exit)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)
    return decision


def shutdown(timeout: float = EXIT_S) -> None:
    """Undo `activate`."""
    global _client
    client, _client = _client, None
    if client is not None:
        client.shutdown(timeout)


def _at_exit() -> None:
    if _client is None:
        return
    _client.attempt("exit", _client.shutdown)
    if getattr(sys, "last_type", None) is KeyboardInterrupt and not hasattr(sys, "ps1"):
        # The interpreter ends itself by SIGINT after an unhandled Ctrl-C, unless source text was run since (it resets the flag in
        # `run_eval_code_obj`), and importing `socket` does run some. Doing it once more, with that exception, sets the flag again.
        try:
            exec("raise KeyboardInterrupt")
        except KeyboardInterrupt:
            return


def _before_fork() -> None:
    if _client is not None:
        _client.forking = _client.importing.acquire(timeout=1)


def _after_fork() -> None:
    if _client is not None and _client.forking:
        _client.forking = False
        _client.importing.release()


def _in_child() -> None:
    if _client is not None:
        # A hook that came before ours may have recorded something already.
        _client.attempt("fork", _client.check_process)


def _working_folder() -> str:
    try:
        return os.getcwd()
    except OSError:
        return os.sep


def _say(text: str) -> None:
    if sys.stderr is not None:
        try:
            sys.stderr.write(f"brakit: {text}\n")
        except (OSError, ValueError):
            return
