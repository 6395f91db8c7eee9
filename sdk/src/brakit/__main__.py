"""`python -m brakit doctor` says in plain words whether an app is watched here, and why not; `--json` says it to programs."""

from __future__ import annotations

import sys

import brakit
from brakit import doctor

USAGE = "usage: python -m brakit [doctor] [--json]\n"


def main(arguments: list[str]) -> int:
    # What the doctor asks of a server is nobody's request.
    brakit.shutdown(0)
    known = [argument for argument in arguments if argument not in ("doctor", "--json")]
    if known or arguments.count("doctor") > 1:
        sys.stderr.write(f"python -m brakit: {known[0]!r} is not known\n{USAGE}" if known else USAGE)
        return 2
    return doctor.main(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
