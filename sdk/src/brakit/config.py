"""Every setting of the SDK: its name, its environment variable, its default and what it does.

Settings come from the environment alone: reading a file at import would be work that the app did not ask for.
"""

from __future__ import annotations

import os

from brakit.sampling import RANKS, parse_share

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Setting:
    """One setting. `kind` is one of bool, int, text, list (comma-separated), shares (a list of `pattern=share`), url,
    level."""

    __slots__ = ("default", "doc", "kind", "name", "variable")

    def __init__(self, name: str, variable: str, kind: str, default: object, doc: str) -> None:
        self.name = name
        self.variable = variable
        self.kind = kind
        self.default = default
        self.doc = doc


SETTINGS = (
    Setting("disable", "BRAKIT_DISABLE", "bool", False, "Switches everything off; wins over all else."),
    Setting(
        "enable", "BRAKIT_ENABLE", "bool", False, "Switches on where the guard would not: in CI, under pytest, on a staging host."
    ),
    Setting(
        "dir",
        "BRAKIT_DIR",
        "text",
        "",
        "The server's data folder; by default `.brakit` in the project, looked for up to the project root.",
    ),
    Setting("port", "BRAKIT_PORT", "int", 0, "Port of the server; no looking for it and no handshake then."),
    Setting("host", "BRAKIT_HOST", "text", "127.0.0.1", "Host of the server, together with BRAKIT_PORT."),
    Setting(
        "url",
        "BRAKIT_URL",
        "url",
        "",
        "Address of the server, e.g. `https://brakit.example.internal/team`; instead of BRAKIT_HOST and BRAKIT_PORT.",
    ),
    Setting("token", "BRAKIT_TOKEN", "text", "", "Write token, for a server that asks for one."),
    Setting("service", "BRAKIT_SERVICE", "text", "", "Name of this service; by default the name of the project's folder."),
    Setting(
        "bodies",
        "BRAKIT_BODIES",
        "bool",
        True,
        "Captures text bodies of requests and responses, scrubbed, up to 10 240 bytes each.",
    ),
    Setting(
        "params", "BRAKIT_PARAMS", "bool", False, "Sends bound parameters of queries, scrubbed; otherwise only a hash of them."
    ),
    Setting(
        "propagate",
        "BRAKIT_PROPAGATE",
        "list",
        (),
        "Hosts beside loopback and private ones that outgoing calls carry our ids to.",
    ),
    Setting(
        "secrets",
        "BRAKIT_SECRETS",
        "list",
        (),
        "What is masked as well: names of secrets (`tenant_ref`, in any spelling), and how words begin that are some (`acme_*`). "
        "Set it for the server too.",
    ),
    Setting(
        "watch",
        "BRAKIT_WATCH",
        "bool",
        True,
        "Watches asyncio's event loop while requests are being answered, from a thread of its own, for what blocks it.",
    ),
    Setting("skip", "BRAKIT_SKIP", "list", (), "Instrumentations to leave out, by name."),
    Setting(
        "ignore",
        "BRAKIT_IGNORE",
        "list",
        (),
        "What is not recorded, with all that it causes: paths (`/healthz`, `/static/*`), names of jobs (`tasks.heartbeat`), "
        "outgoing calls (`http://metrics:*`).",
    ),
    Setting(
        "sample",
        "BRAKIT_SAMPLE",
        "shares",
        (),
        "Of what only a share is recorded: `/poll=0.1,tasks.sync=5%`. One that fails is recorded from its failure on.",
    ),
    Setting("log_level", "BRAKIT_LOG_LEVEL", "level", "", "The least severe logs that are recorded: debug, info, warn or error."),
    Setting(
        "log_ignore", "BRAKIT_LOG_IGNORE", "list", (), "Loggers whose logs are not recorded: `uvicorn.access`, `django.db.*`."
    ),
    Setting("buffer", "BRAKIT_BUFFER", "int", 10_000, "Events held at most while the server is busy."),
)


class ConfigError(ValueError):
    """An environment variable has a value that its setting cannot take."""


class Config:
    """The settings of one process. Unknown or malformed values are left at their default and named in `problems`."""

    disable: bool
    enable: bool
    dir: str
    port: int
    host: str
    url: str
    token: str
    service: str
    bodies: bool
    params: bool
    propagate: tuple[str, ...]
    secrets: tuple[str, ...]
    watch: bool
    skip: tuple[str, ...]
    ignore: tuple[str, ...]
    sample: tuple[tuple[str, float], ...]
    log_level: str
    log_ignore: tuple[str, ...]
    buffer: int

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self.environ = environ
        self.problems: list[str] = []
        for setting in SETTINGS:
            setattr(self, setting.name, self.read(setting))

    def read(self, setting: Setting) -> Any:
        """The value of one setting, which may be one that an instrumentation declares."""
        text = self.environ.get(setting.variable, "").strip()
        if not text:
            return setting.default
        try:
            return _parse(setting, text)
        except ConfigError as problem:
            self.problems.append(str(problem))
            return setting.default


def _parse(setting: Setting, text: str) -> object:
    if setting.kind == "bool":
        lower = text.lower()
        if lower in ("1", "true", "yes", "on"):
            return True
        if lower in ("0", "false", "no", "off"):
            return False
        raise ConfigError(f"{setting.variable}={text!r} is neither true nor false; using {setting.default}")
    if setting.kind == "int":
        if text.isascii() and text.isdigit() and len(text) < 16 and int(text) and (setting.name != "port" or int(text) < 65536):
            return int(text)
        raise ConfigError(f"{setting.variable}={text!r} is not a valid number; using {setting.default}")
    if setting.kind in ("list", "shares"):
        parts = tuple(part.strip() for part in text.split(",") if part.strip())
        return parts if setting.kind == "list" else tuple([_share(setting, part) for part in parts])
    if setting.kind == "level":
        if text.lower() not in RANKS:
            raise ConfigError(f"{setting.variable}={text!r} is none of {', '.join(RANKS)}; leaving it out")
        return text.lower()
    if setting.kind == "url" and split_url(text) is None:
        # What stands before an @ may be a password.
        shown = "…@" + text.rpartition("@")[2] if "@" in text else text
        raise ConfigError(
            f"{setting.variable}={shown!r} is no address of a server, such as http://127.0.0.1:7700; leaving it out"
        )
    return text


def _share(setting: Setting, text: str) -> tuple[str, float]:
    share = parse_share(text)
    if share is None:
        raise ConfigError(f"{setting.variable}: {text!r} is no pattern with a share, such as /poll=0.1; leaving all of them out")
    return share


def split_url(text: str) -> tuple[bool, str, int, str] | None:
    """Whether it is https, host, port and path (without a slash at its end) of a server's address; None for anything else."""
    scheme, mark, rest = text.partition("://")
    secure = scheme.lower() == "https"
    if not mark or scheme.lower() not in ("http", "https") or not text.isascii() or any(mark in text for mark in " \t\r\n?#@"):
        return None
    authority, slash, path = rest.partition("/")
    host, port = authority, ""
    if authority.startswith("["):
        host, _, port = authority[1:].partition("]")
        port = port.removeprefix(":")
    elif ":" in authority:
        host, _, port = authority.rpartition(":")
    number = int(port) if port.isdigit() and len(port) <= 5 else 0 if port else (443 if secure else 80)
    if not host or not 0 < number < 65536 or (":" in host) != authority.startswith("["):
        return None
    return secure, host, number, (slash + path).rstrip("/")
