"""The `brakit` command. A subcommand is a file in this folder with a function of the same name; its being here registers it."""

from __future__ import annotations

import ast
import pkgutil
import sys
from pathlib import Path

import cyclopts

from brakit_server import __version__


def app(*, listing: bool = False) -> cyclopts.App:
    """The command-line application. A subcommand is imported when it is used.

    `listing` gives each its one line for the list of commands, in place of its whole help.
    """
    application = cyclopts.App(
        name="brakit",
        help="See what a Python backend really does: its requests with their queries, calls, logs and errors.",
        version=__version__,
        default_parameter=cyclopts.Parameter(negative=()),
    )
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            summary = _summary(module.name) if listing else None
            application.command(f"{__name__}.{module.name}:{module.name}", name=module.name, help=summary)
    return application


def _summary(name: str) -> str:
    """What the list of commands says of one: the first line of its file, behind its name. The file is read, not imported."""
    docstring = ast.get_docstring(ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))) or name
    _, _, summary = docstring.partition("\n")[0].partition(": ")
    return summary[:1].upper() + summary[1:]


def main() -> None:
    """Entry point of the `brakit` script."""
    try:
        sys.exit(app(listing=sys.argv[1:2] in ([], ["-h"], ["--help"]))())
    except KeyboardInterrupt:
        sys.exit(130)
