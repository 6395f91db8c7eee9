"""`python -m brakit doctor`: is an app watched here, which libraries are seen, where is the server, what came and what was lost.

Runs in a process of its own. What it says of running apps is what they have told the server.
"""

from __future__ import annotations

import json
import os
import sys

from brakit import __version__, entry_points, patch
from brakit.activation import decide
from brakit.clocks import monotonic, wall
from brakit.config import SETTINGS, Config
from brakit.connection import Connection, Unreachable
from brakit.discovery import Address, find, folders, is_ours

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Report = dict[str, Any]

MAX_RUNS = 10
MAX_STATUS = 4 * 1024 * 1024
WIDTH = 100


def report(folder: str) -> Report:
    """All that there is to say about an app that would be started in `folder`, with this environment."""
    config = Config()
    decision = decide(config)
    libraries = libraries_of(config)
    return {
        "version": __version__,
        "python": sys.version.split()[0],
        "on": decision.on,
        "reason": decision.reason.partition(": ")[2],
        "looked_in": [config.url or f"{config.host}:{config.port}"] if config.url or config.port else folders(config, folder),
        "servers": [server_at(address, config) for address in find(config, folder)],
        "libraries": libraries,
        "settings": {s.variable: getattr(config, s.name) for s in SETTINGS if getattr(config, s.name) != s.default},
        "problems": config.problems
        + [f"BRAKIT_SKIP: there is no instrumentation {n!r}" for n in config.skip if n not in libraries],
    }


def is_well(report: Report) -> bool:
    """Whether an app would be watched, a server takes what it sends, and nothing was wrong with the settings or in an app."""
    servers = [server for server in report["servers"] if not server["problem"]]
    failed = any(run["failures"] for server in servers for run in server["runs"])
    return report["on"] and bool(servers) and not report["problems"] and not failed


def server_at(address: Address, config: Config) -> Report:
    """What answers at an address: `problem` says what is wrong with it; `runs` are the processes that have sent to it."""
    found: Report = {"url": address.url, "problem": "", "version": "", "runs": []}
    deadline = monotonic() + 5
    try:
        connection = Connection(address, f"brakit-python/{__version__}", config.token, deadline)
        ours = is_ours(connection, deadline)
        connection.close()
        if not ours:
            found["problem"] = "what answers there is not this project's brakit server"
            return found
        status, answer = _get(address, config.token)
    except Unreachable as problem:
        found["problem"] = f"does not answer: {problem}"
        return found
    except OSError as problem:
        found["problem"] = f"broke off: {problem}"
        return found
    if status in (401, 403):
        found["problem"] = "wants a token; BRAKIT_TOKEN is not set" if not config.token else "refuses the token of BRAKIT_TOKEN"
        return found
    try:
        content = json.loads(answer)
        found["version"] = str(content["version"])
        found["runs"] = [_run(run) for run in content["runs"][:MAX_RUNS]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # A server that knows no such question: the Node dashboard is one. It takes events all the same.
        found["version"] = "unknown"
    return found


def _get(address: Address, token: str) -> tuple[int, bytes]:
    import http.client

    kind = http.client.HTTPSConnection if address.secure else http.client.HTTPConnection
    connection = kind(address.host, address.port, timeout=5)
    try:
        connection.request(
            "GET", f"{address.path}/__brakit/api/status", headers={"Authorization": f"Bearer {token}"} if token else {}
        )
        response = connection.getresponse()
        return response.status, response.read(MAX_STATUS)
    except http.client.HTTPException as problem:
        raise OSError(str(problem)) from None
    finally:
        connection.close()


def _run(run: Report) -> Report:
    return {
        "service": str(run["service"]),
        "framework": str(run.get("framework") or ""),
        "pid": run.get("pid"),
        "host": str(run.get("host") or ""),
        "events": int(run["events"]),
        "seconds_ago": max(0, round(wall() / 1e9 - float(run["lastSeenAt"]) / 1000)),
        "dropped": dict(run.get("dropped") or {}),
        "refused": {n: str(v) for n, v in (run.get("instrumentations") or {}).items() if "not supported" in str(v)},
        "failures": dict(run.get("failures") or {}),
    }


def libraries_of(config: Config) -> dict[str, Report]:
    """Every instrumentation by the import name of its target: `state` is one of seen, refused, skipped, absent, broken."""
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    owners = packages_distributions()
    found: dict[str, Report] = {}
    for name, module in sorted(instrumentations().items(), key=lambda item: item[0].lower()):
        entry: Report = {"state": "seen", "version": "", "supports": "", "from": module.partition(".")[0]}
        found[name] = entry
        supported = constant(module, "SUPPORTS")
        if supported is None:
            entry["state"] = "broken"
            continue
        entry["supports"] = supported
        top = name.partition(".")[0]
        if not _is_here(top):
            entry["state"] = "absent"
        elif top not in sys.stdlib_module_names:
            distribution = constant(module, "DISTRIBUTION") or owners.get(top, [top])[0]
            try:
                entry["version"] = version(distribution)
            except PackageNotFoundError:
                entry["version"] = ""
            if not patch.supports(supported, entry["version"]):
                entry["state"] = "refused"
        if name in config.skip and entry["state"] != "absent":
            entry["state"] = "skipped"
    return found


def instrumentations() -> dict[str, str]:
    """The module of every instrumentation, those of other distributions included."""
    return {**patch.shipped(), **entry_points.find(sys.path)}


def constant(module: str, name: str) -> str | None:
    """A text that a module sets at its top, read and not run; None when there is none."""
    import ast
    import importlib.util

    try:
        spec = importlib.util.find_spec(module)
        with open(spec.origin, "rb") as file:  # type: ignore[union-attr,arg-type]
            tree = ast.parse(file.read())
    except (ImportError, OSError, SyntaxError, ValueError, AttributeError, TypeError):
        return None
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return node.value.value if isinstance(node.value, ast.Constant) and type(node.value.value) is str else None
    return None


def _is_here(name: str) -> bool:
    import importlib.util

    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return name in sys.modules


def text_of(report: Report) -> str:
    """The report in plain words."""
    lines = [f"brakit {report['version']}, Python {report['python']}", "", "Is an app that is started here watched?"]
    lines += [f"  {'Yes' if report['on'] else 'No'}: {report['reason']}."]
    lines += [f"  Wrong: {problem}" for problem in report["problems"]]
    lines += ["", "Where is the server?"]
    if not report["servers"]:
        lines += ["  There is none. Looked in:", *(f"    {place}" for place in report["looked_in"])]
        lines += ["  `brakit serve`, in the folder of the project, starts one; it comes with `pip install brakit-server`."]
    for server in report["servers"]:
        if server["problem"]:
            lines += [f"  {server['url']}: {server['problem']}."]
            continue
        lines += [f"  {server['url']}/__brakit/ (version {server['version']})", "", "What has sent to it?"]
        lines += [line for run in server["runs"] for line in _run_lines(run)] or [
            "  Nothing yet. Does the app say `import brakit`, and has it had a request since?"
        ]
    lines += ["", "Which libraries are seen?"]
    states = (
        ("seen", "seen", lambda n, e: f"{n} {e['version']}".strip()),
        ("refused", "refused", lambda n, e: f"{n} {e['version'] or 'of unknown version'} ({e['supports']} is supported)"),
        ("skipped", "left out by BRAKIT_SKIP", lambda n, _: n),
        ("broken", "without an instrumentation that can be read", lambda n, e: f"{n} (from {e['from']})"),
        ("absent", "not installed here", lambda n, _: n),
    )
    for state, title, show in states:
        names = [show(name, entry) for name, entry in report["libraries"].items() if entry["state"] == state]
        if names:
            lines += wrapped(f"  {title}: ", names)
    lines += ["", "Settings, all by environment variable"]
    for setting in SETTINGS:
        value = report["settings"].get(setting.variable)
        shown = "" if value is None else "****" if setting.name == "token" else f"= {value!r}"
        lines += [f"  {setting.variable:<18} {shown + '  ' if shown else ''}{setting.doc}"]
    return "\n".join(lines) + "\n"


def _run_lines(run: Report) -> list[str]:
    place = ", ".join(part for part in (run["framework"], f"process {run['pid']}" if run["pid"] else "", run["host"]) if part)
    lost = ", ".join(f"{count} {reason}" for reason, count in run["dropped"].items())
    lines = [
        f"  {run['service']} ({place}): {run['events']} events, last {_ago(run['seconds_ago'])} ago; "
        + f"dropped: {lost or 'none'}"
    ]
    lines += [f"    refused: {name} {reason}" for name, reason in run["refused"].items()]
    lines += [f"    failed in brakit itself: {place}: {text}" for place, text in run["failures"].items()]
    return lines


def _ago(seconds: int) -> str:
    for size, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {name}"
    return f"{seconds} s"


def wrapped(head: str, names: list[str]) -> list[str]:
    """`head` and the names after it, in lines of at most `WIDTH` characters."""
    lines = [head]
    for index, name in enumerate(names):
        piece = name + (", " if index < len(names) - 1 else "")
        if len(lines[-1]) + len(piece) > WIDTH:
            lines.append("    ")
        lines[-1] += piece
    return [line.rstrip() for line in lines]


def main(arguments: list[str]) -> int:
    """Print the report; 0 when all is well."""
    found = report(os.getcwd())
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if "--json" in arguments else text_of(found))
    return 0 if is_well(found) else 1
