"""uvicorn: any ASGI app, and middleware that is put around an app by hand, seen from the server's side.

`Server.startup` runs when the app is loaded and its interface is known, and before the first connection: also when `import brakit`
stands in the app's own module, which uvicorn imports while it loads.
"""

from __future__ import annotations

from brakit.instrumentations._asgi import Outermost, outermost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from brakit.guard import Call
    from brakit.patch import Patches

SUPPORTS = ">=0.22"


def instrument(patch: Patches) -> None:
    patch.probe("uvicorn.server:Server.startup", startup)


def startup(call: Call) -> Generator[None, Any, None]:
    config = call.args[0].config
    # A WSGI app runs in a thread that knows nothing of the call around it; it is seen by its own framework's instrumentation.
    if config.interface != "wsgi" and not isinstance(config.loaded_app, Outermost):
        config.loaded_app = outermost(call.client, config.loaded_app, "uvicorn", own_task=True)
    # Whoever opens /__brakit first should not have to ask twice.
    call.client.look()
    yield
