"""What every Python of a run with us imports first, the children of the tests too."""

import logging
import os

import brakit  # noqa: F401

if os.environ.get("SUITE_WARM"):
    # The first record starts the sender.
    logging.getLogger("suites").error("here")
