"""The `brakit` command. A subcommand is a file in this folder with a function of the same name; its being here registers it."""

from __future__ import annotations

import pkgutil
import sys

import cyclopts

from brakit_server import __version__


def app() -> cyclopts.App:
    """The command-line application. A subcommand is imported when it is used."""
    application = cyclopts.App(
        name="brakit",
        help="See what a Python backend really does: its requests with their queries, calls, logs and errors.",
        version=__version__,
        default_parameter=cyclopts.Parameter(negative=()),
    )
    for module in pkgutil.iter_modules(__path__):
        if not module.name.startswith("_"):
            application.command(f"{__name__}.{module.name}:{module.name}", name=module.name)
    return application


def main() -> None:
    """Entry point of the `brakit` script."""
    try:
        sys.exit(app()())
    except KeyboardInterrupt:
        sys.exit(130)
