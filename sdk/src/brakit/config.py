"""Every setting of the SDK: its name, its environment variable, its default and what it does.

Settings come from the environment alone: reading a file at import would be work that the app did not ask for.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Setting:
    """One setting. `kind` is one of bool, int, text, list (comma-separated)."""

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
    Setting("skip", "BRAKIT_SKIP", "list", (), "Instrumentations to leave out, by name."),
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
    token: str
    service: str
    bodies: bool
    params: bool
    propagate: tuple[str, ...]
    skip: tuple[str, ...]
    buffer: int

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self.problems: list[str] = []
        for setting in SETTINGS:
            value = setting.default
            text = environ.get(setting.variable, "").strip()
            if text:
                try:
                    value = _parse(setting, text)
                except ConfigError as problem:
                    self.problems.append(str(problem))
            setattr(self, setting.name, value)


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
    if setting.kind == "list":
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text
