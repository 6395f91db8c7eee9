"""See what a Python backend really does: `import brakit`, and a local dashboard shows its requests with all that they caused.

Importing activates, unless the environment says otherwise (`python -m brakit` tells). The functions are for what cannot be seen
from outside.
"""

from brakit.api import asgi, auth_check, capture_error, dbapi, flush, scrub, shutdown, span, wsgi
from brakit.client import activate as _activate

__version__ = "0.2.0"
__all__ = ["asgi", "auth_check", "capture_error", "dbapi", "flush", "scrub", "shutdown", "span", "wsgi"]

_activate()
