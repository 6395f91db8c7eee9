"""`python -m tests.truth.apps <framework> <port>`: one app of the matrix on its server, until it is told to stop."""

from __future__ import annotations

import importlib
import sys

import brakit  # noqa: F401

importlib.import_module(f"tests.truth.apps.{sys.argv[1]}").serve(int(sys.argv[2]))
