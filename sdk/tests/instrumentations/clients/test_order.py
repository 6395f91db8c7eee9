"""Imported before us or after us, every library is seen."""

from __future__ import annotations

from typing import Any

import pytest

LIBRARIES = (
    "import asyncio, http.client, urllib.request, warnings\n"
    "import aiohttp, botocore.session, loguru, requests, structlog, urllib3, uvloop\n"
)
CHECK = """
import brakit.client, sys
client = brakit.client.current()
places = {(getattr(holder, "__name__", ""), name) for holder, name, _, _ in client.patches.restores}
for wanted in [("Session", "send"), ("PoolManager", "urlopen"), ("HTTPConnection", "endheaders"), ("OpenerDirector", "open"),
               ("ClientSession", "_request"), ("BaseClient", "_make_api_call"), ("URLLib3Session", "send"), ("Logger", "_log"),
               ("Logger", "callHandlers"), ("BoundLoggerBase", "_proxy_to_logger"), ("warnings", "_showwarnmsg"),
               ("sys", "unraisablehook"), ("BaseEventLoop", "call_exception_handler"), ("Loop", "call_exception_handler")]:
    assert wanted in places, wanted
assert client.failures.counts == {}, client.failures.first
"""


@pytest.mark.parametrize("code", ["import brakit\n" + LIBRARIES, LIBRARIES + "import brakit\n"])
def test_in_either_order(py: Any, code: str) -> None:
    ran = py(code + "import botocore.client\n" + CHECK, BRAKIT_ENABLE="1", BRAKIT_PORT="1")
    assert (ran.rc, ran.stderr) == (0, "")
