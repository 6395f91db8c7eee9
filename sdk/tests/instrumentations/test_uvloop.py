"""uvloop: what is its own; what it has in common with asyncio's loop is tested in `test_asyncio.py` on both."""

from __future__ import annotations

from typing import Any

CODE = """
import uvloop, asyncio, {brakit}
async def fail():
    raise LookupError("gone")
async def main():
    task = asyncio.ensure_future(fail())
    await asyncio.sleep(0.01)
    del task
loop = uvloop.new_event_loop()
loop.run_until_complete(main())
loop.close()
"""


def test_imported_before_us_and_the_output_is_as_without_us(py: Any, sink: Any) -> None:
    ran = py(CODE.format(brakit="brakit"), BRAKIT_ENABLE="1", BRAKIT_PORT=str(sink.port))
    plain = py(CODE.format(brakit="os"))
    assert (ran.rc, ran.stderr.replace("app0", "app1")) == (plain.rc, plain.stderr)
    assert [event["data"]["message"] for event in sink.of("error")] == ["gone"]
