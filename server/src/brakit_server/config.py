"""Every setting of the server, its default and its sentence; from arguments, the environment and pyproject.toml, in this order."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import tomllib

from brakit_server import tokens

DEFAULT_PORT = 4747
REPOSITORY = (".git", ".hg")
PROJECT = ("pyproject.toml", "setup.py", "setup.cfg", "requirements.txt", "manage.py", "Pipfile")
MIN_BYTES = 1_000_000
MIN_TOKEN = 22
"""Characters of a token: 128 bits in base 64."""

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


class ConfigError(Exception):
    """A setting that cannot be used; the text names the setting, where it stands, and its value."""


class Config(msgspec.Struct, kw_only=True, frozen=True):
    """Settings of one server."""

    root: Path
    """Project root."""
    host: str = "127.0.0.1"
    """Address to listen on. Beyond loopback both tokens are needed."""
    port: int = DEFAULT_PORT
    """Port to listen on; 0 takes a free one."""
    port_fallback: bool = True
    """Take a free port when `port` is taken: only where nobody asked for that port."""
    dir: Path
    """The data folder: that of the database and of the files by which SDKs find the server."""
    max_bytes: int = 1_000_000_000
    """Size of the database above which the oldest events go."""
    max_age_days: float = 7.0
    """Age at which events go."""
    max_memory: int = 1_000_000_000
    """Memory of the server above which SDKs are asked to wait."""
    durability: Literal["normal", "full"] = "normal"
    """`full` waits for the disk at every commit, so that a power failure loses nothing either."""
    write_token: str | None = None
    """What SDKs have to send as `Authorization: Bearer`; else the file `write-token` in the data folder."""
    read_token: str | None = None
    """What people and agents have to send; else the file `read-token` in the data folder."""
    behind_proxy: bool = False
    """A proxy on this machine hands on what comes from elsewhere: tokens are needed on loopback too."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names under which the server may be addressed."""
    secrets: tuple[str, ...] = ()
    """What is masked as well: names of secrets, and how words begin that are some (`acme_*`)."""
    rules: dict[str, Any] = {}
    """`[tool.brakit.rules.<id>]`: thresholds of rules."""
    ignore: Any = ()
    """`[[tool.brakit.ignore]]` with `rule`, `route`, `at` (`file:function`) and `reason`: findings that are known, by patterns."""
    until_exit: int | None = None
    """Process id: the server stops when that process ends."""

    @staticmethod
    def load(environ: Mapping[str, str] | None = None, cwd: Path | None = None, **arguments: object) -> Config:
        """The settings of a server started in `cwd`, by `arguments` (named as the fields; None: not given), else by `environ`
        (`BRAKIT_HOST` and so on), else by pyproject.toml. Raises `ConfigError`."""
        return _load(arguments, os.environ if environ is None else environ, (cwd or Path.cwd()).resolve())

    @staticmethod
    def folder(environ: Mapping[str, str] | None = None, cwd: Path | None = None, dir: str | None = None) -> Path:
        """The data folder alone, whatever else is set. Raises `ConfigError`."""
        start = (cwd or Path.cwd()).resolve()
        root = project_root(start)
        return _folder({"dir": dir} if dir else {}, os.environ if environ is None else environ, start, root, _table(root))

    @property
    def database(self) -> Path:
        return self.dir / "brakit.db"

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)

    @property
    def guarded(self) -> bool:
        """Whether others can reach the server, so that it asks for tokens."""
        return not self.loopback or self.behind_proxy

    @property
    def project(self) -> str:
        """Name of the project's folder."""
        return self.root.name or "project"


def _load(arguments: Mapping[str, object], environ: Mapping[str, str], start: Path) -> Config:
    given = {name: value for name, value in arguments.items() if value is not None}
    root = Path(str(given["root"])).resolve() if "root" in given else project_root(start)
    table = _table(root)
    found: dict[str, tuple[object, str]] = {}
    for name in (
        "host",
        "port",
        "max_bytes",
        "max_age_days",
        "max_memory",
        "behind_proxy",
        "durability",
        "allowed_hosts",
        "secrets",
        "write_token",
        "read_token",
    ):
        variable = f"BRAKIT_{name.upper()}"
        if name in given:
            found[name] = (given[name], f"--{name.replace('_', '-')}")
        elif environ.get(variable):
            found[name] = (environ[variable], variable)
        elif name in table and not name.endswith("_token"):
            found[name] = (table[name], f"{name.replace('_', '-')} in [tool.brakit]")
        elif name.endswith("_token") and name in table:
            raise ConfigError(f"{name.replace('_', '-')} stands in pyproject.toml, which others read: set {variable} instead.")
    folder = _folder(given, environ, start, root, table)
    config = Config(
        root=root,
        host=_host(*found["host"]) if "host" in found else "127.0.0.1",
        port=_port(*found["port"]) if "port" in found else DEFAULT_PORT,
        port_fallback="port" not in found,
        dir=folder,
        until_exit=_pid(given["until_exit"]) if "until_exit" in given else None,
        max_bytes=_bytes(*found["max_bytes"]) if "max_bytes" in found else 1_000_000_000,
        max_age_days=_days(*found["max_age_days"]) if "max_age_days" in found else 7.0,
        durability=_durability(*found["durability"]) if "durability" in found else "normal",
        max_memory=_bytes(*found["max_memory"]) if "max_memory" in found else 1_000_000_000,
        behind_proxy=_yes(*found["behind_proxy"]) if "behind_proxy" in found else False,
        write_token=_token(*found["write_token"]) if "write_token" in found else _token_in(folder / tokens.WRITE_FILE),
        read_token=_token(*found["read_token"]) if "read_token" in found else _token_in(folder / tokens.READ_FILE),
        allowed_hosts=_hosts(*found["allowed_hosts"]) if "allowed_hosts" in found else (),
        secrets=_texts(*found["secrets"]) if "secrets" in found else (),
        rules=_rules(table.get("rules", {})),
        ignore=table.get("ignore", ()),
    )
    check(config)
    return config


def _folder(
    given: Mapping[str, object], environ: Mapping[str, str], start: Path, root: Path, table: Mapping[str, object]
) -> Path:
    named = given.get("dir") or environ.get("BRAKIT_DIR") or table.get("dir")
    return (start / str(named)).absolute() if named else root / ".brakit"


def check(config: Config) -> None:
    """Raise `ConfigError` where the settings do not go together."""
    if config.guarded and not (config.write_token and config.read_token):
        why = f"host is {config.host}, which others can reach" if not config.loopback else "a proxy lets others reach it"
        raise ConfigError(
            f"{why}: make tokens with `brakit tokens`, or set BRAKIT_WRITE_TOKEN (for SDKs) and BRAKIT_READ_TOKEN "
            f"(for people and agents), each of at least {MIN_TOKEN} characters."
        )
    if config.write_token is not None and config.write_token == config.read_token:
        raise ConfigError("write-token and read-token are the same: who may send must not be able to read.")


def project_root(start: Path) -> Path:
    """The nearest folder upwards that is a repository, else the nearest that looks like a Python project, else `start`."""
    for markers in (REPOSITORY, PROJECT):
        for folder in (start, *start.parents):
            if any((folder / marker).exists() for marker in markers):
                return folder
    return start


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _table(root: Path) -> dict[str, Any]:
    path = root / "pyproject.toml"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    try:
        table = tomllib.loads(text).get("tool", {}).get("brakit", {})
    except (tomllib.TOMLDecodeError, AttributeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not isinstance(table, dict):
        raise ConfigError(f"[tool.brakit] in {path} is not a table: {table!r}")
    return {name.replace("-", "_"): value for name, value in table.items()}


def _host(value: object, source: str) -> str:
    text = str(value).strip().strip("[]")
    if not text or any(sign.isspace() or sign in "/@?#" for sign in text):
        raise ConfigError(f"{source} is not an address to listen on: {value!r}")
    return text


def _port(value: object, source: str) -> int:
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise ConfigError(f"{source} is not a port (0 to 65535): {value!r}")
    return int(text)


def _pid(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"--until-exit is not a process id: {value!r}")
    return value


def _bytes(value: object, source: str) -> int:
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([a-z]*)", str(value).strip().lower())
    if isinstance(value, bool) or found is None or found[2] not in _UNITS:
        raise ConfigError(f"{source} is not a size (such as 500MB): {value!r}")
    size = int(float(found[1]) * _UNITS[found[2]])
    if size < MIN_BYTES:
        raise ConfigError(f"{source} is below 1MB, too small for a database: {value!r}")
    return size


def _days(value: object, source: str) -> float:
    try:
        days = float(str(value))
    except ValueError:
        days = -1.0
    if isinstance(value, bool) or not 0 < days <= 36_500:
        raise ConfigError(f"{source} is not a number of days above 0: {value!r}")
    return days


def _durability(value: object, source: str) -> Literal["normal", "full"]:
    if value == "normal":
        return "normal"
    if value == "full":
        return "full"
    raise ConfigError(f"{source} is neither normal nor full: {value!r}")


def _token(value: object, source: str) -> str:
    text = str(value)
    if not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", text) or len(text) < MIN_TOKEN:
        # The value is a secret: its length is all that may be said of it.
        raise ConfigError(f"{source} is no token: it has {len(text)} characters; {MIN_TOKEN} letters and digits are the least.")
    return text


def _token_in(path: Path) -> str | None:
    try:
        text = tokens.read(path)
    except tokens.TokenError as error:
        raise ConfigError(str(error)) from error
    return None if text is None else _token(text, str(path))


def _yes(value: object, source: str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ConfigError(f"{source} is neither true nor false: {value!r}")
    return text in ("1", "true", "yes", "on")


def _hosts(value: object, source: str) -> tuple[str, ...]:
    names = value if isinstance(value, list | tuple) else str(value).split(",")
    hosts = tuple(str(name).strip().lower() for name in names if str(name).strip())
    for host in hosts:
        if not re.fullmatch(r"[a-z0-9._-]+(:[0-9]{1,5})?|\[[0-9a-f:.]+\](:[0-9]{1,5})?", host):
            raise ConfigError(f"{source} names something that is no host: {host!r}")
    return hosts


def _texts(value: object, source: str) -> tuple[str, ...]:  # noqa: ARG001
    texts = value if isinstance(value, list | tuple) else str(value).split(",")
    return tuple(str(text).strip() for text in texts if str(text).strip())


def _rules(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"rules in [tool.brakit] is not a table: {value!r}")
    return value
