"""Where the server is, and that it is ours.

The server writes two files into the data folder of its project: `port` (a decimal number, which other clients read too) and
`server.json` (with a nonce that only the owner of the folder can read). Nothing is looked for outside the project, no file that is
a link or another user's is believed, and nothing of the app's is sent before the server has proved that it knows the nonce.
"""

from __future__ import annotations

import hmac
import json
import os
import stat

from brakit import context
from brakit.config import split_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from brakit.config import Config
    from brakit.connection import Connection

FOLDER = ".brakit"
MAX_LEVELS = 20
MAX_FILE = 4096
REPOSITORY = (".git", ".hg")
PROJECT = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "manage.py", "Pipfile", FOLDER)


class Address:
    """A server to try. `nonce` is set when it has to prove itself; `explicit` when the person named it, which is proof enough.

    `path` stands before all paths of the server, `secure` asks for TLS.
    """

    __slots__ = ("explicit", "host", "nonce", "path", "port", "secure")

    def __init__(
        self, host: str, port: int, nonce: str | None = None, explicit: bool = False, *, secure: bool = False, path: str = ""
    ) -> None:
        self.host = host
        self.port = port
        self.nonce = nonce
        self.explicit = explicit
        self.secure = secure
        self.path = path

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.secure else ''}://{host}:{self.port}{self.path}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and (self.host, self.port, self.nonce) == (other.host, other.port, other.nonce)

    __hash__ = None  # type: ignore[assignment]

    def proves(self, challenge: str, answer: bytes) -> bool:
        """Whether `answer`, the body of `GET /__brakit/api/hello?challenge=…`, shows that its sender knows the nonce."""
        try:
            proof = json.loads(answer)["proof"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        if self.nonce is None or not isinstance(proof, str) or not proof.isascii():
            return False
        return hmac.compare_digest(hmac.digest(self.nonce.encode(), challenge.encode(), "sha256").hex(), proof)


def find(config: Config, start: str) -> list[Address]:
    """The servers to try, nearest first, from the settings or from the files of the project around `start`."""
    named = split_url(config.url) if config.url else None
    if named is not None:
        secure, host, port, path = named
        return [Address(host, port, explicit=True, secure=secure, path=path)]
    if config.port:
        return [Address(config.host, config.port, explicit=True)]
    found = []
    for folder in folders(config, start):
        if not _is_private(folder):
            continue
        text = _read(os.path.join(folder, "server.json"))
        ours = _parse(text) if text is not None else None
        if ours is not None:
            found.append(ours)
        number = _port(_read(os.path.join(folder, "port")))
        if number and (ours is None or ours.port != number):
            found.append(Address("127.0.0.1", number))
    return found


def folders(config: Config, start: str) -> list[str]:
    """The data folders to look into: the one that was named, else `.brakit` from `start` up to the project root."""
    if config.dir:
        return [os.path.abspath(os.path.join(start, config.dir))]
    root = project_root(start)
    found = []
    folder = start
    while True:
        found.append(os.path.join(folder, FOLDER))
        if folder == root or os.path.dirname(folder) == folder:
            return found
        folder = os.path.dirname(folder)


def project_root(start: str) -> str:
    """The nearest folder upwards that is a repository, else the nearest that looks like a Python project, else `start`."""
    project = None
    folder = start
    for _ in range(MAX_LEVELS):
        if any(os.path.exists(os.path.join(folder, name)) for name in REPOSITORY):
            return folder
        if project is None and any(os.path.exists(os.path.join(folder, name)) for name in PROJECT):
            project = folder
        parent = os.path.dirname(folder)
        if parent == folder:
            break
        folder = parent
    return project or start


def is_ours(connection: Connection, deadline: float) -> bool:
    """Whether what answers there may have the app's events. Raises `Unreachable`; may use the connection up.

    A named server is believed; one with a nonce has to prove that it knows it; any other has to answer as a dashboard does.
    """
    address = connection.address
    if address.explicit:
        return True
    if address.nonce is not None:
        challenge = context.new_request_id()
        status, answer = connection.request("GET", f"/__brakit/api/hello?challenge={challenge}", b"", deadline)
        return status == 200 and address.proves(challenge, answer)
    status, answer = connection.request("GET", "/__brakit/api/requests?limit=1", b"", deadline)
    return status == 200 and b'"requests"' in answer and b'"total"' in answer


def _is_private(folder: str) -> bool:
    """A folder, no link to one, of our own user."""
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and (not hasattr(os, "geteuid") or status.st_uid == os.geteuid())


def _read(path: str) -> str | None:
    """A small regular file of our own user; None for anything else."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE:
            return None
        if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
            return None
        return os.read(descriptor, MAX_FILE).decode("ascii", "replace")
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _parse(text: str) -> Address | None:
    try:
        found = json.loads(text)
        port, nonce = found["port"], found["nonce"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if type(port) is int and 0 < port < 65536 and type(nonce) is str and nonce:
        return Address("127.0.0.1", port, nonce)
    return None


def _port(text: str | None) -> int:
    text = (text or "").strip()
    return int(text) if text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536 else 0
