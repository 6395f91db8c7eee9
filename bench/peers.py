"""The peers: what has to be installed for each, in an environment of its own under .cache/bench/, and how it is told where to send."""

from __future__ import annotations

import subprocess
import sys
from typing import NamedTuple

from bench.processes import ROOT

APP = ("fastapi", "uvicorn[standard]", "flask", "waitress", "httpx")
OTEL = tuple(f"opentelemetry-instrumentation-{name}" for name in ("fastapi", "flask", "sqlalchemy", "httpx", "logging"))


class Peer(NamedTuple):
    """`needs` beside the app's own libraries; `held` to the versions of constraints.txt where that is possible."""

    label: str
    needs: tuple[str, ...]
    held: bool = True


PEERS = {
    "published": Peer("brakit 0.1.7 (PyPI)", ("brakit==0.1.7", "sqlalchemy")),
    # It records nothing of SQLAlchemy 2.1, and says so in one line of log.
    "otel": Peer("OpenTelemetry", ("opentelemetry-exporter-otlp-proto-http", *OTEL, "sqlalchemy<2.1"), held=False),
    "sentry": Peer("sentry-sdk", ("sentry-sdk", "sqlalchemy")),
}


class NotInstallable(Exception):
    """Says why in one line."""


def environment(name: str) -> str:
    """The Python of a peer's environment, made once. Raises `NotInstallable`."""
    peer = PEERS[name]
    folder = ROOT / ".cache" / "bench" / name
    python = folder / "bin" / "python"
    wanted = [*APP, *peer.needs, *(("--constraint", str(ROOT / "constraints.txt")) if peer.held else ())]
    stamp = folder / "wanted.txt"
    if not stamp.exists() or stamp.read_text() != "\n".join(wanted):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        installed = subprocess.run([*pip, *wanted], capture_output=True, text=True, check=False)
        if installed.returncode:
            raise NotInstallable((installed.stderr.strip().splitlines() or ["pip says nothing"])[-1])
        stamp.write_text("\n".join(wanted))
    return str(python)


def extra(name: str, port: int) -> dict[str, str]:
    """The environment of an app with a peer that sends to `port`."""
    return {"BENCH_VARIANT": name, "BENCH_SINK": str(port), "BRAKIT_PORT": str(port), "BRAKIT_TELEMETRY": "false"}
