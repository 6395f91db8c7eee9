"""Serve the shop: `python -m demo.shop PORT COUNTS_PORT`, with its own counters around it."""

from demo.shop.app import app

# isort: split

import logging
import sys

import uvicorn

from demo.counters import CountedASGI, Counters, tell


def main(port: int, counts_port: int) -> None:
    """Serve on 127.0.0.1 until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    counters = Counters(problems="shop.problems")
    counters.watch_logs()
    tell(counters, counts_port)
    counters.watch_queries(app.state.engine.sync_engine)
    counters.watch_fetches(app.state.client)
    # Without a logging set-up of uvicorn's own, its records reach the root logger, and so the counters.
    uvicorn.run(CountedASGI(app, counters), host="127.0.0.1", port=port, log_config=None, log_level="warning", access_log=False)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
