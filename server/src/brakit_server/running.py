"""The data folder: private to its user, used by one server at a time, and how SDKs find that server."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import stat
import time
from pathlib import Path

import msgspec

import brakit_server
from brakit_server.config import ConfigError


class FolderError(ConfigError):
    """The data folder cannot be used; the text says why."""


class AlreadyRunning(FolderError):
    """Another server uses the folder. `pid` and `url` are None where it did not say."""

    def __init__(self, folder: Path, pid: int | None, url: str | None) -> None:
        self.pid = pid
        self.url = url
        super().__init__(
            f"A brakit server is running for {folder} already" + (f" (pid {pid})" if pid else "") + (f": {url}" if url else ".")
        )


class Server(msgspec.Struct, frozen=True):
    """A server that runs: what `server.json` says of it."""

    port: int
    pid: int
    version: str
    nonce: str
    url: str
    """Of the dashboard."""


class Folder:
    """An open, locked data folder. Raises `FolderError` where it is a link, another user's, or in use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.nonce = secrets.token_hex(16)
        """Known to who can read the folder, and new at each start: with it the server proves to SDKs what it is."""
        self._announced: dict[str, str] = {}
        prepare(path)
        self._lock = _open(path / "lock", os.O_RDWR | os.O_CREAT)
        if not _locked(self._lock):
            os.close(self._lock)
            running = _announced(path)
            raise AlreadyRunning(path, running.pid if running else None, running.url if running else None)
        for stale in ("server.json", "port"):
            (path / stale).unlink(missing_ok=True)

    def announce(self, port: int, url: str) -> None:
        """Write `port` and `server.json`: from now on SDKs may find the server."""
        server = {
            "port": port,
            "pid": os.getpid(),
            "started": time.time() * 1000,
            "version": brakit_server.__version__,
            "nonce": self.nonce,
            "url": url,
        }
        self._announced = {"server.json": json.dumps(server), "port": str(port)}
        for name, text in self._announced.items():
            write(self.path / name, text)

    def close(self) -> None:
        """Take back what was announced, where it is still ours, and let the folder go."""
        for name, text in self._announced.items():
            path = self.path / name
            if _read(path) == text:
                path.unlink(missing_ok=True)
        self._announced = {}
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def find(path: Path) -> Server | None:
    """The server that runs for this data folder and can be talked to; None when there is none."""
    if not path.is_dir() or not (path / "lock").exists():
        return None
    lock = _open(path / "lock", os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return _announced(path)
    finally:
        os.close(lock)
    return None


def prepare(path: Path) -> None:
    """Make the folder, with mode 0700 and ignored by git. Raises `FolderError` where it is a link, a file or another user's."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = os.lstat(path)
    except OSError as error:
        raise FolderError(f"The data folder {path} cannot be made: {error.strerror}.") from error
    if not stat.S_ISDIR(found.st_mode):
        raise FolderError(f"The data folder {path} is a link or a file; remove it or choose another with --dir.")
    if found.st_uid != os.geteuid():
        raise FolderError(f"The data folder {path} belongs to another user; choose another with --dir.")
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    ignore = path / ".gitignore"
    if not os.path.lexists(ignore):
        write(ignore, "*\n")


def _locked(descriptor: int) -> bool:
    # `find` in another process holds the lock for a moment, which is no server.
    for pause in (0.02, 0.05, 0.1, 0):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(pause)
        else:
            return True
    return False


def _announced(path: Path) -> Server | None:
    try:
        return msgspec.json.decode(_read(path / "server.json"), type=Server)
    except msgspec.DecodeError:
        return None


def _open(path: Path, flags: int) -> int:
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except OSError as error:
        raise FolderError(f"{path} cannot be opened: {error.strerror}.") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FolderError(f"{path} is not a regular file; remove it.")
    os.fchmod(descriptor, 0o600)
    return descriptor


def write(path: Path, text: str) -> None:
    """Write a whole file or none, with mode 0600; a link that stands in its place is replaced, not followed."""
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = _open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
    fresh.replace(path)


def _read(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 4096).decode("utf-8", "replace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
