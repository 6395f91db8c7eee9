"""Sweeps the apps of one room: `python -m tests.faults <room> <sample or full> [app …]` prints a row of JSON for each."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import traceback
import warnings

from tests.faults import injection


def main() -> None:
    room, mode, *names = sys.argv[1:]
    os.environ["BRAKIT_DISABLE"] = "1"
    warnings.simplefilter("ignore")
    injection.install()
    output = os.fdopen(os.dup(1), "w")
    from tests.faults.sweep import Result, Sweep

    apps = importlib.import_module(f"tests.faults.apps.{room}")
    kind = getattr(apps, "SWEEP", Sweep)
    for app in apps.APPS:
        if names and app.name not in names:
            continue
        with contextlib.ExitStack():
            try:
                result = kind(app, mode).run()
            except ImportError as error:
                result = Result(app.name, skipped=str(error))
            except Exception:
                result = Result(app.name, broken=traceback.format_exc())
        print(json.dumps(result.as_json()), file=output, flush=True)
    output.flush()
    # Pools and workers of libraries may have threads that nobody ends.
    os._exit(0)


if __name__ == "__main__":
    main()
