"""Serve the payments service: `python -m demo.payments PORT COUNTS_PORT`, with its own counters around it."""

from demo.payments.app import app

# isort: split

import logging
import signal
import sys

import waitress

from demo.counters import CountedWSGI, Counters, tell


def main(port: int, counts_port: int) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    counters = Counters()
    counters.watch_logs()
    tell(counters, counts_port)
    counters.watch_queries(app.config["ENGINE"])
    counters.watch_flask_errors(app)
    # waitress knows how to end on SystemExit, but does not listen for the signal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    waitress.serve(CountedWSGI(app, counters), host="127.0.0.1", port=port, threads=8)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
